/**
 * Options as the configuration says them, for the commands of a dry run: what
 * 8.4's drbdadm hands to drbdsetup. Pure.
 *
 * @module
 */

import type {
  DrbdConf,
  ResourceConfig,
  ResourceSection,
  Setting,
} from "@kedge/schema/drbd-conf";
import type { OptionPairs, SaidOptions } from "./setup_lines.ts";

/** What is said for a resource on this host, the inner level winning. */
export function saidOptions(
  conf: DrbdConf,
  config: ResourceConfig,
  { host }: { readonly host: string },
): SaidOptions {
  const resource = conf.resources.find(({ name }) => name === config.name);
  if (resource === undefined) return { options: [], net: [], disk: new Map() };
  const { common } = conf;
  const self = resource.hosts.find(({ names }) => names.includes(host));
  const connection = connectionTo(resource, config);
  return {
    options: merged([common?.options, resource.sections.options]),
    net: merged([common?.net, resource.sections.net, connection?.net]),
    disk: new Map(config.volumes.map(({ volume }) => {
      const of = (sections: ResourceSection["volumes"]) =>
        sections.find((each) => each.volume === volume)?.options;
      return [
        volume,
        merged([
          common?.disk,
          resource.sections.disk,
          of(resource.volumes),
          of(self?.volumes ?? []),
        ]).flatMap(([name, value]) => {
          const said = name === "resync-after" ? minorOf(conf, value) : value;
          return said === undefined ? [] : [[name, said] as const];
        }),
      ];
    })),
  };
}

function connectionTo(resource: ResourceSection, { peers }: ResourceConfig) {
  const peer = peers[0]?.name;
  const named = resource.connections.find((each) =>
    [...each.ends, ...each.paths.flatMap(({ ends }) => ends)]
      .some(({ host }) => host === peer)
  );
  return (named ?? resource.meshes[0])?.sections;
}

/** `resync-after` names a resource, the command a minor; none: it is left out. */
function minorOf({ resources }: DrbdConf, value: string): string | undefined {
  const [, name = value, number = "0"] = /^(.+)\/(\d+)$/.exec(value) ?? [];
  const resource = resources.find((each) => each.name === name);
  const volumes = [
    ...resource?.volumes ?? [],
    ...resource?.hosts.flatMap(({ volumes }) => volumes) ?? [],
  ];
  const minor = volumes.find(({ volume, device }) =>
    volume === Number(number) && device !== undefined
  )?.device?.value.minor;
  return minor === undefined ? undefined : String(minor);
}

/** Later levels replace values, and keep the place of the first. */
function merged(
  levels: readonly (readonly Setting[] | undefined)[],
): OptionPairs {
  const found = new Map<string, string>();
  for (const { name, values } of levels.flatMap((level) => level ?? [])) {
    found.set(name, values.join(" ") || "yes");
  }
  return [...found];
}
