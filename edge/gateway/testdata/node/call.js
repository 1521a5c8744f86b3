// Calls a gateway with a published client. Standard input is one JSON object:
//   { client: 3 | 4, config: {...}, calls: [{ method, params, options } | { notify: {...} }] }
// Standard output is a JSON list with, for each call, { answer } or { error }. Answers are verified unless the
// options say otherwise; of a notice, the answer is whether the client believes it.
'use strict';

async function main() {
  const task = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const loaded = require(`alipay-sdk-${task.client}`);
  const AlipaySdk = loaded.AlipaySdk || loaded.default;
  const sdk = new AlipaySdk(task.config);
  const results = [];
  for (const call of task.calls) {
    try {
      if (call.notify) {
        const believed = task.client === 4 ? sdk.checkNotifySignV2(call.notify) : sdk.checkNotifySign(call.notify, true);
        results.push({ answer: { believed } });
        continue;
      }
      results.push({ answer: await sdk.exec(call.method, call.params, { validateSign: true, ...call.options }) });
    } catch (err) {
      results.push({ error: String(err.message || err.errorMessage || err) });
    }
  }
  process.stdout.write(JSON.stringify(results));
}

main().catch(err => { console.error(err); process.exit(1); });
