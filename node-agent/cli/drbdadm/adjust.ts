/** `drbdadm adjust`: bring what runs to the configuration. */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import { hasConnection } from "@kedge/schema/mirror/pending-options";
import { adjustLines, adjustTo, type RunStep } from "./adjust_core.ts";
import { notRunning, report, runFor, volumesOf } from "./daemon_commands.ts";
import { LineError } from "./line.ts";
import { SETUP_EXIT } from "./replies.ts";
import { saidOptions } from "./said_options.ts";
import type { Session, Target } from "./session.ts";
import { setupLine } from "./setup_lines.ts";
import { create, downOne, startDaemon } from "./up.ts";

/** Adjust every target. Returns the highest exit code. */
export async function adjust(session: Session): Promise<number> {
  let exit = 0;
  for (const { config } of session.targets()) {
    const target = { config, volume: undefined };
    exit = Math.max(exit, await adjustOne(session, target));
  }
  return exit;
}

/** `net-options` and the like: what the file says now; nothing else. */
export async function changeOptions(session: Session): Promise<number> {
  const given = [...session.line.setup.keys()]
    .find((each) => each !== "reconnect");
  if (given !== undefined) {
    throw new LineError(
      `drbdadm ${session.line.command}: --${given} cannot be set from the ` +
        "command line: write it into the configuration of both hosts, then " +
        '"drbdadm adjust"',
    );
  }
  let exit = 0;
  for (const target of session.targets()) {
    exit = Math.max(exit, await changeOne(session, target));
  }
  return exit;
}

/** Unlike `adjust` it starts nothing. */
async function changeOne(session: Session, target: Target): Promise<number> {
  const { config } = target;
  if (await session.running(config.name) !== undefined) {
    return await adjustOne(session, { config, volume: undefined });
  }
  const command = session.line.command ?? "";
  const isOfResource = command === "net-options" ||
    command === "resource-options";
  const lines = isOfResource
    ? [setupLine(command, config)]
    : volumesOf(target).map((volume) => setupLine(command, config, { volume }));
  lines.forEach((line) => session.trace(line));
  if (session.isDry) return 0;
  const code = isOfResource ? 158 : 127;
  const reply = { code, why: notRunning(config.name) };
  return report(session, target, {
    reply,
    command,
    setup: lines[0] ?? command,
  });
}

async function adjustOne(session: Session, target: Target): Promise<number> {
  const { config } = target;
  const status = await session.running(config.name);
  const running = status === undefined
    ? undefined
    // The daemon keeps what drbdadm resolved for it.
    : await session.client.configOf(config.name) as ResourceConfig;
  // What goes through JSON has no undefined fields.
  const wanted = JSON.parse(JSON.stringify(config)) as ResourceConfig;
  const input = { wanted, running, status };
  const said = saidOptions(session.conf(), config, session.given.identity);
  adjustLines({ ...input, said }).forEach((line) => session.trace(line));
  if (session.isDry) return 0;
  for (const step of adjustTo(input)) {
    const exit = await doStep(session, target, step);
    if (exit !== 0) return exit;
  }
  return await takePending(session, target);
}

/** What counts from the next connection on: say it, or make that connection. */
async function takePending(session: Session, target: Target): Promise<number> {
  const { name } = target.config;
  const now = await session.running(name);
  if (now === undefined) return 0;
  const stands = now.volumes.some(({ state }) =>
    hasConnection(state.connection)
  );
  // Also where nothing is pending: it may be on the other host, which cannot
  // hold the writes.
  if (session.asks("reconnect") && stands) {
    const reply = await session.client.reconnect(name);
    const setup = `adjust --reconnect ${name}`;
    return report(session, target, { reply, command: "connect", setup });
  }
  if (now.pending.length === 0) return 0;
  for (const each of now.pending) {
    session.warn(`${name}: ${each} counts from the next connection on`);
  }
  session.warn(
    `  next: adjust the other host (${now.peerNode}) too; then, on the ` +
      `Primary: "drbdadm adjust --reconnect ${name}"`,
  );
  return 0;
}

async function doStep(
  session: Session,
  target: Target,
  step: RunStep,
): Promise<number> {
  switch (step.kind) {
    case "up":
      await startDaemon(session);
      return await start(session, target);
    case "attach":
      return await runFor(
        "attach",
        { ...target, volume: step.volume },
        session,
      );
    case "detach":
      return await runFor(
        "detach",
        { ...target, volume: step.volume },
        session,
      );
    case "connect":
    case "disconnect":
      return await runFor(step.kind, target, session);
    case "options":
      return await takeOptions(session, target);
    case "restart":
      return await restart(session, target, step.why);
  }
}

/** Everything that differs, at once; the application does not notice. */
async function takeOptions(session: Session, target: Target): Promise<number> {
  const { config } = target;
  const reply = await session.client.configure(config.name, config);
  return report(session, target, {
    reply,
    command: "net-options",
    setup: setupLine("net-options", config),
  });
}

async function start(session: Session, target: Target): Promise<number> {
  const created = await create(session, target);
  if (created !== 0) return created;
  const attached = await runFor("attach", target, session);
  return Math.max(attached, await runFor("connect", target, session));
}

/** Stop and start it; a Primary is left alone. */
async function restart(
  session: Session,
  target: Target,
  why: readonly string[],
): Promise<number> {
  const { name } = target.config;
  const status = await session.running(name);
  const isPrimary = status?.volumes.some(({ state }) =>
    state.role === "Primary"
  );
  if (isPrimary) {
    session.warn(
      `${name}: cannot take the new configuration while Primary:\n` +
        why.map((each) => `  ${each}\n`).join("") +
        `  demote it first ("drbdadm secondary ${name}"), then adjust again`,
    );
    return SETUP_EXIT.configuration;
  }
  session.warn(`${name}: restarted for the new configuration:`);
  why.forEach((each) => session.warn(`  ${each}`));
  const stopped = await downOne(session, target);
  return stopped === 0 ? await start(session, target) : stopped;
}
