// What Prometheus' own query field offers at the end of a text: completion.mjs URL METHOD TEXT...
// Prints a list per text: what is offered, its type and its help.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { CompletionContext } = require("@codemirror/autocomplete");
const { EditorState } = require("@codemirror/state");
const { PromQLExtension } = require("@prometheus-io/codemirror-promql");
const { newCompleteStrategy } = require("@prometheus-io/codemirror-promql/dist/cjs/complete/index.js");

const [url, httpMethod, ...texts] = process.argv.slice(2);
const httpErrorHandler = (error) => {
  console.error(error);
  process.exit(1);
};
const strategy = newCompleteStrategy({ remote: { url, httpMethod, httpErrorHandler } });
const extension = new PromQLExtension().asExtension();
for (const text of texts) {
  const state = EditorState.create({ doc: text, extensions: [extension] });
  const found = await strategy.promQL(new CompletionContext(state, text.length, true));
  const offers = (found?.options ?? []).map(({ label, detail, info }) => [label, detail, info]);
  console.log(JSON.stringify(offers));
}
process.exit(0);
