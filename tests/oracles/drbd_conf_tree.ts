/**
 * Dumps as trees, read without our parser, and the known ways in which DRBD's
 * dumps differ from ours.
 *
 * @module
 */

/** One statement: its words, and its content if it is a section. */
export interface Statement {
  words: string[];
  body: Statement[] | undefined;
}

/** Reads a dump. Comments and layout are lost, order is kept. */
export function readTree(text: string): Statement[] {
  const tokens = text.matchAll(/#[^\n]*|"((?:[^"\\]|\\.)*)"|[{};]|[^\s{};"]+/g);
  const root: Statement[] = [];
  const stack = [root];
  let words: string[] = [];
  for (const [token, quoted] of tokens) {
    const list = stack.at(-1) ?? root;
    if (token.startsWith("#")) continue;
    if (quoted !== undefined) words.push(quoted.replaceAll(/\\(.)/g, "$1"));
    else if (token === "}") stack.pop();
    else if (token === "{" || token === ";") {
      const body = token === "{" ? [] : undefined;
      list.push({ words, body });
      if (body !== undefined) stack.push(body);
      words = [];
    } else words.push(token);
  }
  return root;
}

/** The same for every order of statements with different names. */
export function canonical(list: readonly Statement[]): unknown[] {
  return list
    .map(({ words, body }) => ({
      name: words.join(" ").replace("[ ", "[").replace(/(\S)\[/, "$1 ["),
      key: (words[0] ?? "") + (body === undefined ? "" : " {"),
      body: body && canonical(body),
    }))
    .sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
    .map(({ name, body }) => body === undefined ? name : { [name]: body });
}

/** A dump of ours and the one it is compared with. */
export interface Pair {
  readonly ours: Statement[];
  readonly theirs: Statement[];
}

/** Takes one known difference away. */
type Rule = (pair: Pair) => void;

/** Known differences by the name that the page gives them. */
export const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["derived-timeouts", ({ ours, theirs }) => {
    const written = sections(ours, "global").flatMap(({ body }) => body ?? [])
      .map(({ words }) => words[0]);
    for (const name of ["cmd-timeout-medium", "cmd-timeout-long"]) {
      if (written.includes(name)) continue;
      drop(sections(theirs, "global"), new RegExp(`^${name}$`));
    }
  }],
  ["written-once", ({ theirs }) => {
    for (const resource of sections(theirs, "resource")) pushDown(resource);
  }],
  ["node-ids", ({ ours, theirs }) => {
    for (const host of hostsOf(theirs)) {
      const twin = hostsOf(ours)
        .find(({ words }) => words.join() === host.words.join());
      if (!twin?.body?.some(({ words }) => words[0] === "node-id")) {
        drop([host], /^node-id$/);
      }
    }
  }],
  ["fencing-section", ({ ours }) => {
    for (const resource of sections(ours, "resource")) moveFencing(resource);
  }],
  ["handler-name", ({ theirs }) => {
    const handlers = sections(theirs, "resource")
      .flatMap(({ body }) => sections(body ?? [], "handlers"));
    for (const statement of handlers.flatMap(({ body }) => body ?? [])) {
      if (statement.words[0] === "outdate-peer") {
        statement.words[0] = "fence-peer";
      }
    }
  }],
  ["become-primary-on", ({ ours }) => {
    dropIn(ours, "startup", ([name]) => name === "become-primary-on");
  }],
  ["rest-of-global", ({ ours }) => {
    drop(sections(ours, "global"), /^(udev-always-use-vnr|cmd-timeout-.*)$/);
    remove(
      ours,
      ({ words, body }) => words[0] === "global" && body?.length === 0,
    );
  }],
  ["resync-after", ({ ours }) => {
    const known = sections(ours, "resource").map(({ words }) => words[1] ?? "");
    dropIn(
      ours,
      "disk",
      ([name = "", value = ""]) =>
        name === "resync-after" && !known.includes(value.replace(/\/\d+$/, "")),
    );
  }],
  ["stacked-device", ({ ours }) => {
    const stacked = hostsOf(ours)
      .filter(({ words }) => words[0] === "stacked-on-top-of");
    drop(stacked, /^device$/);
  }],
  ["protocol-case", ({ theirs }) => {
    for (const resource of sections(theirs, "resource")) {
      for (const net of sections(resource.body ?? [], "net")) {
        for (const { words } of net.body ?? []) {
          if (words[0] === "protocol") words[1] = words[1]?.toUpperCase() ?? "";
        }
      }
    }
  }],
]);

function sections(list: readonly Statement[], name: string): Statement[] {
  return list.filter(({ words, body }) => words[0] === name && body);
}

const HOST = /^(on|floating|stacked-on-top-of)$/;
const VOLUME_WORD = /^(device|disk|meta-disk)$/;

function hostsOf(list: readonly Statement[]): Statement[] {
  return sections(list, "resource").flatMap(({ body }) =>
    (body ?? []).filter(({ words }) => HOST.test(words[0] ?? ""))
  );
}

function remove(
  list: Statement[],
  isUnwanted: (statement: Statement) => boolean,
): void {
  const kept = list.filter((statement) => !isUnwanted(statement));
  list.splice(0, list.length, ...kept);
}

function drop(list: readonly Statement[], name: RegExp): void {
  for (const { body } of list) {
    remove(body ?? [], ({ words }) => name.test(words[0] ?? ""));
  }
}

/** Drops options of a section of resources, and the section if it is empty. */
function dropIn(
  list: readonly Statement[],
  name: string,
  isUnwanted: (words: readonly string[]) => boolean,
): void {
  for (const { body = [] } of sections(list, "resource")) {
    for (const { body: options = [] } of sections(body, name)) {
      remove(options, ({ words }) => isUnwanted(words));
    }
    remove(
      body,
      ({ words, body: inner }) => words[0] === name && inner?.length === 0,
    );
  }
}

/** Moves what a resource says of volumes into each of its hosts. */
function pushDown({ body = [] }: Statement): void {
  const isShared = ({ words, body: inner }: Statement) =>
    words[0] === "volume" ||
    (VOLUME_WORD.test(words[0] ?? "") && inner === undefined);
  const shared = body.filter(isShared);
  remove(body, isShared);
  for (const host of body) {
    if (HOST.test(host.words[0] ?? "")) {
      host.body = merge(structuredClone(shared), host.body ?? []);
    }
  }
}

/** Statements of an outer level, replaced by those of an inner one. */
function merge(outer: Statement[], inner: readonly Statement[]): Statement[] {
  const merged = outer;
  for (const statement of inner) {
    const isVolume = statement.words[0] === "volume";
    const index = merged.findIndex(({ words, body }) =>
      words[0] === statement.words[0] && !body === !statement.body &&
      (!isVolume || words[1] === statement.words[1])
    );
    const twin = merged[index];
    if (twin === undefined) merged.push(statement);
    else if (isVolume) twin.body = merge(twin.body ?? [], statement.body ?? []);
    else merged[index] = statement;
  }
  return merged;
}

function moveFencing({ body = [] }: Statement): void {
  for (const disk of sections(body, "disk")) {
    const [fencing] = (disk.body ?? [])
      .filter(({ words }) => words[0] === "fencing");
    if (fencing === undefined) continue;
    drop([disk], /^fencing$/);
    if (disk.body?.length === 0) remove(body, (each) => each === disk);
    const [net] = sections(body, "net");
    if (net === undefined) body.push({ words: ["net"], body: [fencing] });
    else net.body?.push(fencing);
  }
}
