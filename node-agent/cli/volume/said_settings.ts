/**
 * Who says an option of a resource: itself, `common`, or a part of it that wins
 * over both. Pure.
 *
 * @module
 */

import {
  type DrbdConf,
  OPTION_TABLES,
  type OptionChange,
  type Place,
  type ResourceSection,
  type Setting,
} from "@kedge/schema/drbd-conf";

/** Sections that a running volume takes; of equal names the first counts. */
export const SET_SECTIONS = ["net", "disk", "options", "handlers"] as const;
/** One of them. */
export type SetSection = typeof SET_SECTIONS[number];

/** Command lines and terminals are seen by others. */
export const SECRET = "shared-secret";

/** An option that is written somewhere. */
export interface SaidSetting extends Place {
  readonly section: SetSection;
  readonly name: string;
  /** As written; of a secret nothing. */
  readonly value: string;
  /** `common`, `resource`, `volume N` or `connection`. */
  readonly level: string;
  /** False: something stronger says it, too. */
  readonly counts: boolean;
}

interface Level {
  readonly name: string;
  readonly settings: readonly Setting[];
}

/** Everything that is said for a resource on a host, by section and name. */
export function saidSettings(
  conf: DrbdConf,
  resourceName: string,
  host: string,
): SaidSetting[] {
  const resource = conf.resources.find(({ name }) => name === resourceName);
  if (resource === undefined) return [];
  return SET_SECTIONS.flatMap((section) => {
    const outer: Level[] = [
      { name: "common", settings: conf.common?.[section] ?? [] },
      { name: "resource", settings: resource.sections[section] ?? [] },
    ];
    const inner = innerLevels(resource, host, section);
    const said = [...outer, ...inner].flatMap((level) =>
      lastOfEach(level.settings).map((setting) => ({ level, setting }))
    );
    return said.map(({ level, setting }): SaidSetting => ({
      section,
      name: setting.name,
      value: setting.name === SECRET
        ? "(not shown)"
        : setting.values.join(" ") || "yes",
      level: level.name,
      file: setting.file,
      line: setting.line,
      counts: level.name !== "common" ||
        !said.some((other) =>
          other.level.name === "resource" &&
          other.setting.name === setting.name
        ),
    })).sort((a, b) =>
      placeInTable(section, a.name) - placeInTable(section, b.name)
    );
  });
}

/** What changed options are, and were, as people write them. */
export function changeLines(
  changes: readonly OptionChange[],
  before: readonly SaidSetting[],
  after: readonly SaidSetting[],
): string[] {
  return changes.flatMap((change) => {
    const [old, now] = [before, after].map((said) => valueOf(change, said));
    return old === now ? [] : [`${change.name}: ${old} -> ${now}`];
  });
}

/** Without the parts of a resource, which may have others. */
function valueOf(
  { section, name }: OptionChange,
  said: readonly SaidSetting[],
): string {
  const all = said.filter((each) =>
    each.section === section && each.name === name
  );
  const at = (level: string) => all.find((each) => each.level === level)?.value;
  return at("resource") ?? at("common") ?? "default";
}

/** Who else says a changed option: what is inherited, what wins. */
export function originLines(
  resource: string,
  { section, name, value }: OptionChange,
  said: readonly SaidSetting[],
): string[] {
  const all = said.filter((each) =>
    each.section === section && each.name === name
  );
  const place = ({ file, line }: Place) => `${file}:${line}`;
  return all.flatMap((each) => {
    if (each.level === "resource") return [];
    if (each.level !== "common") {
      return [
        `${name}: ${place(each)} (${each.level}) says ${each.value} and wins ` +
        `over what ${resource} says: change it there by hand`,
      ];
    }
    return value === undefined
      ? [`${name}: ${each.value} as "common" has it (${place(each)})`]
      : [
        `${name}: "common" has ${each.value} (${place(each)}); ` +
        `${resource} has its own`,
      ];
  });
}

/** Parts that win over the resource. */
function innerLevels(
  resource: ResourceSection,
  host: string,
  section: SetSection,
): Level[] {
  const self = resource.hosts.find(({ names }) => names.includes(host));
  const volumes = [...resource.volumes, ...self?.volumes ?? []];
  const connections = [...resource.connections, ...resource.meshes];
  return [
    ...section === "disk"
      ? volumes.map(({ volume, options }) => ({
        name: `volume ${volume}`,
        settings: options ?? [],
      }))
      : [],
    ...connections.map(({ sections }) => ({
      name: "connection",
      settings: sections[section] ?? [],
    })),
    { name: "on", settings: self?.sections[section] ?? [] },
  ];
}

/** Of equal options the last one counts. */
function lastOfEach(settings: readonly Setting[]): Setting[] {
  return [...new Map(settings.map((each) => [each.name, each])).values()];
}

function placeInTable(section: SetSection, name: string): number {
  return [...OPTION_TABLES[section].keys()].indexOf(name);
}
