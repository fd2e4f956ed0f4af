/**
 * What the Workers of a host say on their own: to logs, listeners, handlers,
 * device nodes and the register.
 *
 * @module
 */

import type { MirrorEvent } from "@kedge/schema/mirror/control-api";
import type { Log } from "../../ports.ts";
import type { RegisterAnswer, VolumeRegisters } from "../../register_ports.ts";
import type { FromWorker } from "../worker_messages.ts";
import { changeText } from "./change_text_core.ts";
import type { NodeKeeper } from "./device_node_keeper.ts";
import { runHandlerAloud } from "./helpers.ts";
import type { Running } from "./running.ts";

/** What is needed of the host. */
export interface NewsHost {
  readonly running: ReadonlyMap<string, Running>;
  readonly nodes: NodeKeeper;
  readonly options: {
    readonly log: Log;
    readonly registers: VolumeRegisters | undefined;
  };
  tell(event: Omit<MirrorEvent, "atMs">): void;
}

type News<Type> = Extract<FromWorker, { type: Type }>;

/** See the module comment. */
export class WorkerNews {
  constructor(readonly host: NewsHost) {}

  /** The Worker of a resource said something. */
  heard(
    resource: string,
    message: News<"changed" | "resized" | "helper" | "register" | "log">,
  ): void {
    switch (message.type) {
      case "log":
        return this.#log(resource, message);
      case "changed":
        return this.#changed(resource, message);
      case "resized":
        return this.#resized(resource, message);
      case "helper":
        this.#help(resource, message);
        return;
      case "register":
        return this.#register(resource, message);
    }
  }

  #log(resource: string, { level, text }: News<"log">): void {
    const { log } = this.host.options;
    if (level === "info") log.info(`${resource}: ${text}`);
    else log.warn(`${resource}: ${text}`);
  }

  #changed(resource: string, message: News<"changed">): void {
    const { running, nodes, options, tell } = this.host;
    const { volume, before, after } = message;
    options.log.info(`${resource}/${volume}: ${changeText(before, after)}`);
    const known = running.get(resource);
    known?.greeted.moved({ volume, state: after });
    known?.states.set(volume, after);
    const isDemoted = before.role === "Primary" && after.role === "Secondary";
    if (isDemoted && known) nodes.abandon(known, volume);
    tell({ resource, volume, kind: "change", before, after });
  }

  #resized(resource: string, { volume, sizeBytes }: News<"resized">): void {
    const { running, nodes, options: { log }, tell } = this.host;
    log.info(`${resource}/${volume}: size is ${sizeBytes} bytes now`);
    const known = running.get(resource);
    if (known !== undefined) {
      nodes.renewLater(known, (why) => log.warn(`${resource}: ${why}`));
    }
    tell({ resource, volume, kind: "resize", sizeBytes });
  }

  #register(resource: string, message: News<"register">): void {
    const { volume, id, change, parties } = message;
    const unknown: RegisterAnswer = { outcome: "unknown", epoch: 0 };
    const asked = this.host.options.registers
      ?.change({ resource, volume }, change, parties) ??
      Promise.resolve(unknown);
    const { process } = this.host.running.get(resource) ?? {};
    asked.catch(() => unknown).then((answer) => {
      process?.tell({ type: "registerChanged", volume, id, answer });
    });
  }

  async #help(
    resource: string,
    { volume, id, name }: News<"helper">,
  ): Promise<void> {
    const { running, options: { log }, tell } = this.host;
    const known = running.get(resource);
    const spec = known?.process.spec.volumes.find((each) =>
      each.volume === volume
    );
    if (known === undefined || spec === undefined) return;
    tell({ resource, volume, kind: "helper", helper: { name } });
    const status = await runHandlerAloud(known.config, { spec, name, log });
    tell({ resource, volume, kind: "helper", helper: { name, status } });
    known.process.tell({ type: "helperDone", volume, id, exitCode: status });
  }
}
