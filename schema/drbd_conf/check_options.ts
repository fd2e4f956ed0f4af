/**
 * Warnings about options: given twice, without effect here, or contradicting
 * one another.
 *
 * @module
 */

import type {
  ResourceSection,
  Sections,
  Setting,
  VolumeSection,
} from "./ast.ts";
import type { CheckContext } from "./check.ts";
import { parseResyncAfter } from "./effective.ts";
import type { Place, WarningCode } from "./errors.ts";
import { whyNoEffect } from "./check_no_effect.ts";
import { namesOf, volumesOf } from "./inherit.ts";
import { OptionValues } from "./option_values.ts";
import { NET_OPTIONS } from "./options/net.ts";
import type { WarningDetails } from "./parser_context.ts";

/** Adds warnings about options. */
export function checkOptions(context: CheckContext): void {
  const { conf } = context;
  if (conf.common !== undefined) checkSections(context, conf.common);
  for (const resource of conf.resources) {
    const { name } = resource;
    checkSections(context, resource.sections, name);
    const { connections, meshes, hosts } = resource;
    for (const { sections } of [...connections, ...meshes, ...hosts]) {
      checkSections(context, sections, name);
    }
    for (const { volumes } of [resource, ...hosts, ...connections]) {
      checkVolumes(context, volumes, name);
    }
    checkTimes(context, resource);
    checkSecret(context, resource);
    checkPromotion(context, resource);
    checkProxy(context, resource);
  }
  checkOrder(context);
}

function checkSections(
  context: CheckContext,
  sections: Sections,
  resource?: string,
): void {
  for (const [section, settings] of Object.entries(sections)) {
    if (!Array.isArray(settings)) continue;
    checkSettings(context, { section, settings, resource });
  }
}

function checkVolumes(
  context: CheckContext,
  volumes: readonly VolumeSection[],
  resource: string,
): void {
  for (const { options: settings = [] } of volumes) {
    checkSettings(context, { section: "disk", settings, resource });
  }
}

function checkSettings(
  context: CheckContext,
  { section, settings, resource }: {
    readonly section: string;
    readonly settings: readonly Setting[];
    readonly resource: string | undefined;
  },
): void {
  const first = new Map<string, Setting>();
  for (const setting of settings) {
    const { name } = setting;
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, setting);
    else {
      warn(context, "duplicate-option", {
        at: setting,
        text: `${name} is also set in line ${earlier.line} of ` +
          `${earlier.file}; the last one counts`,
      }, { resource });
    }
    const why = whyNoEffect(section, setting);
    if (why === undefined) continue;
    warn(context, "not-available", {
      at: setting,
      text: `${`${name} ${setting.values.join(" ")}`.trimEnd()}: ${why}`,
    }, { resource });
  }
}

/** The user guide: `timeout` must be lower than the other two. */
function checkTimes(context: CheckContext, resource: ResourceSection): void {
  const values = netValues(context, resource);
  const timeoutS = values.number("timeout") / 10;
  for (const name of ["ping-int", "connect-int"]) {
    if (timeoutS <= values.number(name)) continue;
    warn(context, "bad-value", {
      at: resource,
      text: `in resource ${resource.name}: timeout (${timeoutS} s) should be ` +
        `lower than ${name} (${values.number(name)} s)`,
    }, { resource: resource.name });
  }
}

/** Each of the two alone keeps nobody out, which is not what it looks like. */
function checkSecret(context: CheckContext, resource: ResourceSection): void {
  const values = netValues(context, resource);
  const [has, lacks] = values.has("shared-secret")
    ? ["shared-secret", "cram-hmac-alg"]
    : ["cram-hmac-alg", "shared-secret"];
  if (!values.has(has) || values.has(lacks)) return;
  warn(context, "not-available", {
    at: resource,
    text: `in resource ${resource.name}: ${has} proves nothing without ` +
      `${lacks}: whoever reaches the port is taken for the peer`,
  }, { resource: resource.name });
}

function netValues(
  { conf }: CheckContext,
  resource: ResourceSection,
): OptionValues {
  return new OptionValues(NET_OPTIONS, [
    conf.common?.net,
    resource.sections.net,
  ]);
}

function checkPromotion(
  context: CheckContext,
  resource: ResourceSection,
): void {
  const { conf } = context;
  const values = netValues(context, resource);
  const isDual = values.boolean("allow-two-primaries");
  const known = resource.hosts.flatMap((host) => namesOf(conf, host));
  const wanted = [conf.common?.startup, resource.sections.startup]
    .flatMap((settings) => settings ?? [])
    .filter(({ name }) => name === "become-primary-on");
  for (const setting of wanted) {
    const at = { at: setting };
    const prefix = `in resource ${resource.name}:\n`;
    if (setting.values.length > 1 || setting.values[0] === "both") {
      if (!isDual) {
        const text =
          `${prefix}become-primary-on is set to both, but allow-two-primaries is not set.`;
        warn(context, "bad-value", { ...at, text }, {
          resource: resource.name,
        });
      }
    }
    for (const name of setting.values) {
      if (name === "both" || known.includes(name)) continue;
      const text =
        `${prefix}\tbecome-primary-on contains '${name}', which is not named with the 'on' sections.`;
      warn(context, "unknown-name", { ...at, text }, {
        resource: resource.name,
      });
    }
  }
  if (
    isDual && values.text("protocol") !== undefined &&
    values.text("protocol") !== "C"
  ) {
    const text = `in resource ${resource.name}: two primaries need protocol C`;
    warn(context, "bad-value", { at: resource, text }, {
      resource: resource.name,
    });
  }
}

/** `resync-after` must lead to a known resource, and not in a circle. */
function checkOrder(context: CheckContext): void {
  const after = new Map(context.conf.resources.map((resource) => {
    const setting = resyncAfterOf(resource);
    const target = parseResyncAfter(setting?.values[0])?.resource;
    return [resource.name, { resource, setting, target }];
  }));
  for (const { resource: { name }, setting, target } of after.values()) {
    if (setting === undefined || target === undefined) continue;
    if (!after.has(target)) {
      warn(context, "unknown-name", {
        at: setting,
        text: `in resource ${name}:\n\tresource '${target}' mentioned in ` +
          "'resync-after' option is not known.",
      }, { resource: name });
    }
    let next: string | undefined = target;
    for (let step = 0; next !== undefined && step < after.size; step += 1) {
      if (next === name) break;
      next = after.get(next)?.target;
    }
    if (next === name) {
      warn(context, "bad-value", {
        at: setting,
        text: `in resource ${name}: 'resync-after' leads in a circle`,
      }, { resource: name, refusedAtUp: true });
    }
  }
}

function resyncAfterOf(resource: ResourceSection): Setting | undefined {
  const host = resource.hosts[0];
  const ofVolumes = host === undefined
    ? []
    : volumesOf(resource, host).flatMap(({ options }) => options);
  return [...resource.sections.disk ?? [], ...ofVolumes]
    .findLast(({ name }) => name === "resync-after");
}

function checkProxy(context: CheckContext, resource: ResourceSection): void {
  const at = resource.proxy ?? resource.hosts.find(({ proxy }) => proxy)?.proxy;
  if (at === undefined) return;
  warn(context, "not-available", {
    at,
    text: `in resource ${resource.name}: there is no proxy; ` +
      "hosts connect directly to each other's 'address'",
  }, { resource: resource.name });
}

function warn(
  { warnings }: CheckContext,
  code: WarningCode,
  { at, text }: { readonly at: Place; readonly text: string },
  details: WarningDetails,
): void {
  warnings.add(code, { file: at.file, line: at.line, text }, details);
}
