import eslint from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

// What can turn text into markup or code has no place here: programs write what is shown.
const markup = [
  "innerHTML",
  "outerHTML",
  "insertAdjacentHTML",
  "setHTMLUnsafe",
  "createContextualFragment",
  "srcdoc",
];

export default defineConfig(
  globalIgnores(["lib", "style", "*.mjs"]),
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "max-lines": ["error", 300],
      complexity: ["error", 16],
      "max-params": ["error", 6],
      "no-console": "error",
      "no-eval": "error",
      "no-restricted-properties": ["error", ...markup.map((property) => ({ property }))],
      "no-restricted-globals": ["error", "fetch", "localStorage", "sessionStorage"],
    },
  },
  {
    // The card runs wherever there is a page: it may not lean on one front end.
    files: ["src/card/**", "src/widget.ts"],
    rules: {
      "no-restricted-imports": ["error", { patterns: ["@jupyterlab/*", "@lumino/*"] }],
    },
  },
);
