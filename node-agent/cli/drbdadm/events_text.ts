/**
 * The lines of `events2`, as DRBD 9's drbdsetup prints them. Pure.
 *
 * A `change` names what changed, group by group: where one field of a group has
 * changed the others are repeated. Source: `oracles/drbd/events2`.
 *
 * @module
 */

/** How to print. */
export interface EventStyle {
  /** Counters too. */
  readonly statistics: boolean;
  /** A change repeats everything, counters included. */
  readonly full: boolean;
  /** `old->new`. */
  readonly diff: boolean;
}

/** Kinds of things, in the order in which they come into being. */
export const THING_TYPES = [
  "resource",
  "device",
  "connection",
  "peer-device",
  "path",
] as const;

/** Kind of a thing. */
export type ThingType = typeof THING_TYPES[number];

/** Values by name. */
export type Fields = Readonly<Record<string, string>>;

/** A thing that events are about. */
export interface Thing {
  readonly type: ThingType;
  /** Which one: `name:…`, printed always, in order. */
  readonly keys: Fields;
  /** Everything else that is known. */
  readonly fields: Fields;
}

/** Fields that are printed together. */
interface Group {
  readonly names: readonly string[];
  /** Only with statistics. */
  readonly isCounter?: true;
  /** An arrow even where nothing changed. */
  readonly isDerived?: true;
  /** Not repeated by `--full`. */
  readonly isOnce?: true;
}

const GROUPS: Readonly<Record<ThingType, readonly Group[]>> = {
  "resource": [
    { names: ["role"] },
    { names: ["suspended"] },
    { names: ["force-io-failures"] },
    { names: ["write-ordering"], isCounter: true },
    { names: ["may_promote", "promotion_score"], isDerived: true },
  ],
  "device": [
    { names: ["backing_dev", "disk", "client", "open", "quorum"] },
    {
      names: [
        "size",
        "read",
        "written",
        "al-writes",
        "bm-writes",
        "upper-pending",
        "lower-pending",
        "al-suspended",
      ],
      isCounter: true,
    },
    { names: ["blocked"], isCounter: true, isOnce: true },
  ],
  "connection": [
    { names: ["connection"] },
    { names: ["role"] },
    { names: ["congested", "ap-in-flight", "rs-in-flight"], isCounter: true },
  ],
  "peer-device": [
    { names: ["replication", "peer-disk", "peer-client"] },
    { names: ["resync-suspended"] },
    { names: ["done"] },
    {
      names: [
        "received",
        "sent",
        "out-of-sync",
        "pending",
        "unacked",
        "dbdt1",
        "eta",
      ],
      isCounter: true,
    },
  ],
  "path": [{ names: ["established"] }],
};

/** What a field is before there was one, for `old->new`. */
const BEFORE: Fields = { "promotion_score": "0", "quorum": "yes" };

/** A thing that is there (`exists`), or that came (`create`). */
export function appearLine(
  verb: "exists" | "create",
  thing: Thing,
  style: EventStyle,
): string {
  const { type, fields } = thing;
  const hasArrows = style.diff;
  const parts = GROUPS[type].flatMap((group) => {
    if (group.isCounter && !style.statistics && !style.full) return [];
    return group.names.flatMap((name) => {
      const value = fields[name];
      if (value === undefined) return [];
      const before = BEFORE[name] ?? "UNKNOWN";
      if (!hasArrows) return [`${name}:${value}`];
      if (before === value && !group.isDerived) return [];
      return [`${name}:${before}->${value}`];
    });
  });
  return line(verb, thing, parts);
}

/** A thing that went. */
export function destroyLine(thing: Thing): string {
  const { minor: _, ...keys } = thing.keys;
  return line("destroy", { ...thing, keys }, []);
}

/** A thing that changed; undefined: in nothing that is shown. */
export function changeLine(
  before: Thing,
  after: Thing,
  style: EventStyle,
): string | undefined {
  const groups = GROUPS[after.type];
  const isChanged = (group: Group) =>
    group.names.some((name) => before.fields[name] !== after.fields[name]);
  const shown = groups.filter((group) =>
    !group.isCounter || style.statistics || style.full
  );
  if (!shown.some(isChanged)) return undefined;
  const parts = shown.filter((group) =>
    isChanged(group) || style.full && !group.isOnce
  ).flatMap((group) =>
    group.names.flatMap((name) => {
      const value = after.fields[name];
      if (value === undefined) return [];
      const old = before.fields[name];
      const hasArrow = style.diff && old !== undefined &&
        (old !== value || group.isDerived);
      return [hasArrow ? `${name}:${old}->${value}` : `${name}:${value}`];
    })
  );
  return line("change", after, parts);
}

/** A handler that was called; with its exit code: that has ended. */
export function helperLine(
  keys: Fields,
  { name, status }: {
    readonly name: string;
    readonly status?: number | undefined;
  },
): string {
  const isOver = status !== undefined;
  const all = {
    ...keys,
    helper: name,
    ...(isOver ? { status: String(status) } : {}),
  };
  return [isOver ? "response helper" : "call helper", ...wordsOf(all)]
    .join(" ");
}

function line(verb: string, { type, keys }: Thing, parts: string[]): string {
  return [verb, type, ...wordsOf(keys), ...parts].join(" ");
}

function wordsOf(fields: Fields): string[] {
  return Object.entries(fields).map(([name, value]) => `${name}:${value}`);
}

/** Which thing it is, among all. */
export function idOf({ type, keys }: Thing): string {
  return [type, ...Object.values(keys)].join("\n");
}

/** Order of the types in changes: causes before what follows from them. */
const CHANGE_ORDER: readonly ThingType[] = [
  "resource",
  "device",
  "path",
  "connection",
  "peer-device",
];

/** The lines that lead from one set of things to another. */
export function eventLines(
  before: readonly Thing[],
  after: readonly Thing[],
  style: EventStyle,
): string[] {
  const old = new Map(before.map((thing) => [idOf(thing), thing]));
  const now = new Set(after.map(idOf));
  const isNew = (thing: Thing) => !old.has(idOf(thing));
  const changed = after.flatMap((thing) => {
    const was = old.get(idOf(thing));
    const text = was === undefined ? undefined : changeLine(was, thing, style);
    return text === undefined ? [] : [{ type: thing.type, text }];
  });
  return [
    ...before.filter((thing) => !now.has(idOf(thing))).toReversed()
      .map(destroyLine),
    ...CHANGE_ORDER.flatMap((type) =>
      changed.filter((each) => each.type === type).map(({ text }) => text)
    ),
    ...after.filter(isNew).map((thing) => appearLine("create", thing, style)),
  ];
}
