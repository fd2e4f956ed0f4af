/** `help` and `hidden-commands`. */

import { OWN_OPTIONS } from "./line.ts";
import type { Session } from "./session.ts";
import { type CommandRow, rowOf, ROWS } from "./table.ts";

function help(session: Session): Promise<number> {
  const [topic] = session.line.words;
  const row = topic === undefined ? undefined : rowOf(topic);
  if (topic !== undefined && row === undefined) {
    session.warn(`drbdadm: Unknown command '${topic}'`);
    return Promise.resolve(1);
  }
  (row === undefined ? helpLines() : usageLines(row))
    .forEach((line) => session.say(line));
  return Promise.resolve(0);
}

/** All usual commands, and drbdadm's own options. */
export function helpLines(): string[] {
  return [
    "",
    "USAGE: drbdadm COMMAND [OPTION...] {all|RESOURCE[/VOLUME]...}",
    "",
    "GENERAL OPTIONS:",
    ...ownLines(),
    "",
    "COMMANDS:",
    ...rowLines(ROWS.filter(({ listing }) => listing === "usual")),
    "",
    '"drbdadm help COMMAND" shows the options of one.',
  ];
}

/** How one command is called. */
export function usageLines({ name, help, targets, options }: CommandRow) {
  const words = targets === "some"
    ? " {all|RESOURCE[/VOLUME]...}"
    : targets === "any"
    ? " [all|RESOURCE[/VOLUME]...]"
    : "";
  return [
    "",
    `USAGE: drbdadm ${name} [OPTION...]${words}`,
    "",
    `  ${help}`,
    "",
    "GENERAL OPTIONS:",
    ...ownLines(),
    ...(options.length === 0 ? [] : [
      "",
      `OPTIONS FOR ${name}:`,
      ...options.map((option) => `  --${option}`),
    ]),
  ];
}

function hidden(session: Session): Promise<number> {
  hiddenLines().forEach((line) => session.say(line));
  return Promise.resolve(0);
}

/** Commands that people rarely type. */
export function hiddenLines(): string[] {
  const part = (listing: CommandRow["listing"]) =>
    rowLines(ROWS.filter((row) => row.listing === listing));
  return [
    "",
    "These additional commands might be useful for scripts around drbdadm:",
    "",
    ...part("script"),
    "",
    "These commands run a handler of the configuration, as the mirror does:",
    "",
    ...part("handler"),
    "",
    "These commands are for experts:",
    "",
    ...part("expert"),
  ];
}

function rowLines(rows: readonly CommandRow[]): string[] {
  return rows.map(({ name, help }) => ` ${name.padEnd(22)}${help}`);
}

function ownLines(): string[] {
  return Object.entries(OWN_OPTIONS).map(([name, row]) => {
    const value = "value" in row ? `=${row.value}` : "";
    const short = "short" in row ? `, -${row.short}` : "";
    return `  ${`--${name}${value}${short}`.padEnd(30)}${row.help}`;
  });
}

/** Actions by name. */
export const COMMANDS = { help, "hidden-commands": hidden } as const;
