/**
 * The house rules that `deno lint` does not know.
 *
 * - `house/layers`: a folder may import only the folders listed for it, and the
 *   parts of the agent do not import one another (`docs/architecture.md`).
 * - `house/pure`: `schema/` and every `*_core.ts` and `*_state.ts` decide
 *   without touching the world, so that the simulator can run them.
 * - `house/documented`: a file and each of its exports begin with a doc comment.
 *
 * @module
 */

const ROOT = new URL("..", import.meta.url).pathname;

/** Who may import whom. `tests` and `.ci` may import everything. */
const LAYERS: Record<string, readonly string[]> = {
  "schema": [],
  "functions": ["schema"],
  "node-agent": ["schema"],
};

/** Parts of the agent that only `agent.ts` may bring together. */
const PARTS = new Set([
  "adapters",
  "fastdfs",
  "files",
  "http",
  "migration",
  "mirror",
  "nbd",
  "sync",
]);

const IMPURE = new Set([
  "Date",
  "Deno",
  "clearTimeout",
  "console",
  "crypto",
  "fetch",
  "performance",
  "queueMicrotask",
  "setInterval",
  "setTimeout",
]);

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "layers": {
      create(context) {
        const from = placeOf(context.filename);
        const check = (source: Deno.lint.StringLiteral) => {
          const to = targetPlace(source.value, context.filename);
          const problem = to === undefined ? undefined : refusal(from, to);
          if (problem !== undefined) {
            context.report({ node: source, message: problem });
          }
        };
        return {
          ImportDeclaration: (node) => check(node.source),
          ExportNamedDeclaration(node) {
            if (node.source !== null) check(node.source);
          },
          ExportAllDeclaration: (node) => check(node.source),
        };
      },
    },
    "pure": {
      create(context) {
        if (!mustBePure(context.filename)) return {};
        const impure = (node: Deno.lint.Node, what: string) =>
          context.report({
            node,
            message: `${what} in a module that must be pure`,
            hint: "Return an effect, or take the value as an argument",
          });
        return {
          AwaitExpression: (node) => impure(node, "await"),
          "MemberExpression[object.name='Math'][property.name='random']": (
            node: Deno.lint.Node,
          ) => impure(node, "Math.random"),
          Identifier(node) {
            if (!IMPURE.has(node.name)) return;
            const parent = node.parent;
            if (parent.type === "TSQualifiedName") return; // Deno.KvKey
            if (
              parent.type === "MemberExpression" && parent.property === node &&
              !parent.computed
            ) return; // value.fetch
            if (parent.type === "Property" && parent.key === node) return;
            impure(node, node.name);
          },
        };
      },
    },
    "documented": {
      create(context) {
        if (/_(test|bench)\.ts$/.test(context.filename)) return {};
        const opens = /^(#![^\n]*\n)?\s*\/\*\*/.test(context.sourceCode.text);
        return {
          Program(node) {
            if (opens) return;
            context.report({
              node,
              message: "This file does not say what it is",
            });
          },
          ExportNamedDeclaration(node) {
            if (node.declaration === null) return;
            const before = context.sourceCode.text.slice(0, node.range[0]);
            // Only white space may stand between the comment and the export.
            if (/\*\/\s*$/.test(before) && lastComment(before) === "doc") {
              return;
            }
            context.report({ node, message: "This export has no doc comment" });
          },
        };
      },
    },
  },
};

export default plugin;

/** A top folder, and the part below it for the agent. */
interface Place {
  readonly folder: string;
  readonly part: string;
  readonly isTest: boolean;
}

function placeOf(path: string): Place {
  const [folder = "", part = ""] = path.slice(ROOT.length).split("/");
  return { folder, part, isTest: /_(test|bench)\.ts$/.test(path) };
}

function targetPlace(specifier: string, importer: string): Place | undefined {
  const ours = /^@kedge\/([^/]+)/.exec(specifier);
  if (ours !== null) return { folder: ours[1] ?? "", part: "", isTest: false };
  if (!specifier.startsWith(".")) return undefined;
  return placeOf(new URL(specifier, `file://${importer}`).pathname);
}

function refusal(from: Place, to: Place): string | undefined {
  if (to.folder === "infra" && from.folder !== "infra") {
    return "nobody imports infra/";
  }
  const allowed = LAYERS[from.folder];
  if (allowed === undefined || from.isTest) return undefined;
  if (to.folder !== from.folder && !allowed.includes(to.folder)) {
    return `${from.folder}/ must not import ${to.folder}/`;
  }
  if (from.folder !== "node-agent" || to.folder !== "node-agent") {
    return undefined;
  }
  if (to.part === from.part || !PARTS.has(to.part)) return undefined;
  if (from.part.endsWith(".ts")) return undefined; // agent.ts wires the parts
  return `node-agent/${from.part}/ must not import node-agent/${to.part}/`;
}

function lastComment(text: string): "doc" | "other" {
  const start = text.lastIndexOf("/*");
  return text.startsWith("/**", start) ? "doc" : "other";
}

function mustBePure(path: string): boolean {
  if (path.endsWith("_test.ts")) return false;
  return placeOf(path).folder === "schema" || /_(core|state)\.ts$/.test(path);
}
