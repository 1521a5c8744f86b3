"use strict";
// Draws the ride code anew each minute, and when the page is looked at again: timers sleep in the background.
(() => {
  const face = document.getElementById("face");
  const at = (id) => document.getElementById(id);
  const query = new URLSearchParams({ cardType: face.dataset.type, cardNo: face.dataset.no }).toString();
  let turn = 0;

  async function refresh() {
    try {
      const answer = await fetch("card.json?" + query, { cache: "no-store" });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error("status " + answer.status);
      const card = await answer.json();
      if (at("balance") && card.balance) at("balance").textContent = card.balance;
      if (at("updated")) at("updated").textContent = card.updated;
      at("tips").textContent = card.tips;
      at("reason").textContent = card.code;
      at("stop").hidden = card.usable;
      face.dataset.usable = card.usable;
      if (card.usable) await draw(); else hide();
      at("stale").hidden = true;
    } catch (fault) {
      at("stale").hidden = false;
    }
  }

  async function draw() {
    const next = new Image();
    next.src = "code.png?" + query + "&turn=" + (++turn);
    next.alt = at("code").alt;
    await next.decode();
    next.id = "code";
    next.dataset.turn = turn;
    at("code").replaceWith(next); // not its address: that would fetch another code
    at("show").hidden = false;
  }

  function hide() {
    at("show").hidden = true;
    at("code").removeAttribute("src");
  }

  setInterval(refresh, 1000 * Number(face.dataset.redraw));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
})();
