// Holds messages to the API document. Standard input is one JSON object:
//   { document: {...}, messages: [{ method, content, answer }] }
// where content is biz_content as text, or null, and answer the whole answer as text. Standard output is a JSON list of
// what is wrong, empty when the document is a good OpenAPI 3.1 one and every message is as it says.
'use strict';

async function main() {
  const task = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const { Validator } = await import('@seriousme/openapi-schema-validator');
  const Ajv = require('ajv/dist/2020').default;
  const wrong = [];
  const verdict = await new Validator().validate(structuredClone(task.document));
  if (!verdict.valid) wrong.push(`document: ${JSON.stringify(verdict.errors)}`);
  const ajv = new Ajv({ strict: false, allErrors: true });
  ajv.addSchema({ $id: 'doc', components: task.document.components }, 'doc');
  const check = (name, part, value) => {
    const validate = ajv.getSchema(`doc#/components/schemas/${name}${part}`) || ajv.compile({ $ref: `doc#/components/schemas/${name}${part}` });
    if (!validate(value)) wrong.push(`${name}${part}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`);
  };
  for (const message of task.messages) {
    if (message.content !== null) check(`${message.method}-form`, '/properties/biz_content/contentSchema', JSON.parse(message.content));
    check(`${message.method}-answer`, '', JSON.parse(message.answer));
  }
  process.stdout.write(JSON.stringify(wrong));
}

main().catch(err => { console.error(err); process.exit(1); });
