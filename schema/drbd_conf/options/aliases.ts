/**
 * Older spellings: options that were renamed or that lived in another section.
 *
 * @module
 */

/** Sections whose content is a list of options. */
export type SectionName = "net" | "disk" | "options" | "startup" | "handlers";

/** Where an older spelling leads to. */
export interface Alias {
  /** Section it belongs to now. */
  readonly section: SectionName;
  /** Name it has now. */
  readonly name: string;
  /** Value it stands for; then it takes none itself. */
  readonly value?: "yes" | "no";
}

/** Section, then spelling. `syncer` is the section that 8.4 dissolved. */
export const ALIASES: Readonly<
  Record<SectionName | "syncer", ReadonlyMap<string, Alias>>
> = {
  net: new Map([
    ["no-tcp-cork", { section: "net", name: "tcp-cork", value: "no" }],
  ]),
  disk: new Map<string, Alias>([
    ...["disk-barrier", "disk-flushes", "disk-drain", "md-flushes"].map(
      (name): [string, Alias] => [
        `no-${name}`,
        { section: "disk", name, value: "no" },
      ],
    ),
  ]),
  options: new Map(),
  startup: new Map(),
  handlers: new Map([
    ["outdate-peer", { section: "handlers", name: "fence-peer" }],
  ]),
  syncer: new Map<string, Alias>([
    ["rate", { section: "disk", name: "resync-rate" }],
    ["after", { section: "disk", name: "resync-after" }],
    ...[
      "resync-rate",
      "resync-after",
      "al-extents",
      "c-plan-ahead",
      "c-delay-target",
      "c-fill-target",
      "c-max-rate",
      "c-min-rate",
    ].map((name): [string, Alias] => [name, { section: "disk", name }]),
    ...["verify-alg", "csums-alg", "use-rle"].map(
      (name): [string, Alias] => [name, { section: "net", name }],
    ),
    ...["cpu-mask", "on-no-data-accessible"].map(
      (name): [string, Alias] => [name, { section: "options", name }],
    ),
  ]),
};
