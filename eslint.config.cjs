const globals = require("globals");
const jsdoc = require("eslint-plugin-jsdoc");

module.exports = [
  {
    plugins: {jsdoc},
    files: ["static/**/*.js"],
    languageOptions: {
      globals: {odoo: "readonly", owl: "readonly", luxon: "readonly", ...globals.browser},
      ecmaVersion: 2024,
      // Odoo's web client loads native modules only.
      sourceType: "module",
    },
    rules: {
      "array-callback-return": "warn",
      complexity: ["warn", 15],
      eqeqeq: "warn",
      "no-debugger": "error",
      "no-duplicate-imports": "error",
      "no-eval": "warn",
      "no-undef": "error",
      "no-unreachable": "error",
      "no-unused-vars": "error",
      "no-use-before-define": "error",
      "no-var": "error",
      "prefer-const": "warn",
      "jsdoc/check-tag-names": "warn",
      "jsdoc/check-types": "warn",
    },
  },
];
