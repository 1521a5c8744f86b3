package web_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// browser is a real Chromium with one page.
type browser struct {
	t      *testing.T
	ctx    context.Context
	mutex  sync.Mutex
	faults []string // of scripts, and what the policy of the pages forbade
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	path := os.Getenv("SHUAMA_CHROMIUM")
	if path == "" {
		var err error
		if path, err = exec.LookPath("chromium"); err != nil {
			t.Fatal("this test needs Chromium: apt-get install chromium, or name it in SHUAMA_CHROMIUM")
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	b.must(chromedp.Do(ctx)) // starts it, however long that takes
	b.must(chromedp.Listen(ctx, b.hear))
	timed, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	b.ctx = timed
	return b
}

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err, b.heard())
	}
}

func (b *browser) hear(event any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry != nil && string(e.Entry.Level) == "error" {
			b.faults = append(b.faults, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, e.ExceptionDetails.Text)
	}
}

func (b *browser) heard() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return append([]string(nil), b.faults...)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, steps...))
}

func (b *browser) login(link, user string) {
	b.t.Helper()
	b.do(chromedp.Navigate(link), chromedp.WaitVisible("#user"), chromedp.SendKeys("#user", user), chromedp.SendKeys("#password", password), chromedp.Click("#enter"))
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Text(selector))
	b.must(err)
	return text
}

// waitFor waits until an expression is true in the page.
func (b *browser) waitFor(expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression))
	b.must(err)
}

// A rider signs up in a real browser, and comes back to the merchant with the answer: the policy of the page lets
// him, and nothing on it was forbidden.
func TestSignUpInBrowser(t *testing.T) {
	c, b := newCity(t), openBrowser(t)
	b.login(c.signLink(), string(rider))
	b.do(chromedp.WaitVisible("#agree"))
	if got := b.text("#agreement"); !strings.Contains(got, "<b>全文</b>") {
		t.Errorf("the agreement is not shown as it was registered: %q", got)
	}
	if title, template := b.text("#title"), b.text("#template"); title != "乘车卡" || template != "green" {
		t.Errorf("%q %q", title, template)
	}
	b.do(chromedp.Click("#agree"), chromedp.WaitVisible("#merchant"))
	if came := <-c.came; came.Get("isCreditOpened") != "true" || came.Get("order") != "7" {
		t.Errorf("came back with %v", came)
	}
	agreement, signed, err := c.agreements.Current(t.Context(), rider, postpaid)
	if c.must(err); !signed || agreement.Number != "A1" {
		t.Errorf("%+v", agreement)
	}
	b.do(chromedp.Navigate(c.signLink("lang", "en")), chromedp.WaitVisible("#signed"))
	if got := b.text("#signed"); !strings.Contains(got, "You have signed up") {
		t.Errorf("%q", got)
	}
	b.do(chromedp.Click("#back"), chromedp.WaitVisible("#merchant"))
	for range 2 { // the favicon of the merchant's page may come between
		if came := <-c.came; came.Has("isCreditOpened") && came.Get("isCreditOpened") != "true" {
			t.Errorf("came back with %v", came)
		}
	}
	b.quiet()
}

// quiet: no script failed, and the pages asked for nothing that their policy forbids.
func (b *browser) quiet() {
	b.t.Helper()
	for _, fault := range b.heard() {
		if !strings.Contains(fault, "favicon") {
			b.t.Error("the browser says:", fault)
		}
	}
}

// The page on a card shows its state and a code that a gate takes, draws another one later, and stops when its card
// issuer stops the card.
func TestCardInBrowser(t *testing.T) {
	c, b := newCity(t), openBrowser(t)
	key := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	c.send(codeissuer.IssueCard, key, nil)
	gate := c.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	b.login(c.useLink(key), string(rider))
	b.do(chromedp.WaitVisible("#code"))
	b.waitFor(`document.getElementById("code").naturalWidth > 100`)
	if balance, no := b.text("#balance"), b.text("#no"); balance != "12.50" || no != "****0001" {
		t.Errorf("%q %q", balance, no)
	}
	first := b.photograph(c)
	if got := gate.Scan(first); got.Verdict != ridecode.Success {
		t.Errorf("the gate says %s: %s", got.Verdict, got.Trace.Reason())
	}
	c.pass(time.Minute)
	b.lookAgain(`document.getElementById("code").dataset.turn === "1"`)
	if second := b.photograph(c); string(second) == string(first) {
		t.Error("the same code a minute later")
	} else if got := gate.Scan(second); got.Verdict != ridecode.Success {
		t.Errorf("the gate says %s: %s", got.Verdict, got.Trace.Reason())
	}
	c.send(codeissuer.UpdateCard, key, func(m *codeissuer.CardMessage) {
		off, code, tips := true, "CARD_OVERDUE", "卡片欠费2.00元，请先充值补缴"
		*m.BalanceFen = -2_00
		m.Disabled, m.DisabledCode, m.DisabledTips = &off, &code, &tips
	})
	b.lookAgain(`document.getElementById("show").hidden`)
	if tips, reason, balance := b.text("#tips"), b.text("#reason"), b.text("#balance"); tips != "卡片欠费2.00元，请先充值补缴" || reason != "CARD_OVERDUE" || balance != "-2.00" {
		t.Errorf("%q %q %q", tips, reason, balance)
	}
	c.send(codeissuer.UpdateCard, key, nil)
	b.lookAgain(`!document.getElementById("show").hidden && document.getElementById("code").naturalWidth > 100`)
	gate.Info.Station = "next"
	if got := gate.Scan(b.photograph(c)); got.Verdict != ridecode.Success {
		t.Errorf("after the top-up the gate says %s: %s", got.Verdict, got.Trace.Reason())
	}
	b.quiet()
}

// lookAgain is what happens when a rider takes the phone out of his pocket.
func (b *browser) lookAgain(until string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.dispatchEvent(new Event("visibilitychange"))`))
	b.must(err)
	b.waitFor(until)
}

// photograph takes a picture of the code on the screen and reads it.
func (b *browser) photograph(c *city) []byte {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.Screenshot("#code"))
	b.must(err)
	raw, code := c.readCode(picture)
	if code.Grant.CardNo != "3100000001" || string(code.Grant.CardData) != "\xca\xfe" || code.Grant.UserID != rider {
		b.t.Errorf("the code is of %+v", code.Grant)
	}
	return raw
}
