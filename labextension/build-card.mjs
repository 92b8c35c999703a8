// Bundles the card as one small module, with its style sheet beside it, for the anywidget.

import { build } from "esbuild";

await build({
  entryPoints: { card: "src/widget.ts" },
  outdir: "../jupyter_launch/frontends/static",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
});
await build({
  entryPoints: { card: "style/card.css" },
  outdir: "../jupyter_launch/frontends/static",
  minify: true,
});
