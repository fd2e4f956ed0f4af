/**
 * Measures the file store against its targets and its peers.
 *
 * ```sh
 * deno task bench:files           # about 4 minutes, writes tests/bench/README.md
 * deno task bench:files --quick   # at most 60 s, prints only
 * deno task bench:files --small-files 1000000   # packed or not: small_files.ts
 * ```
 *
 * `FASTDFS_PREFIX` names an installation of FastDFS to compare with.
 *
 * @module
 */

import type { Level } from "@kedge/schema";
import { usageOf } from "../helpers/proc.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { startStack } from "../helpers/stack.ts";
import {
  type Lag,
  type ManyConnections,
  overTls,
  uploadOnMany,
  visibilityLag,
} from "./extras.ts";
import { type FastdfsFigures, measureFastdfs } from "./fastdfs.ts";
import { type Figures, runLoad } from "./load.ts";
import {
  type Peer,
  peerDownloader,
  peerUploader,
  startBare,
  startNginx,
} from "./peers.ts";
import { writePage } from "./page.ts";
import { markdown, round, type Row } from "./report.ts";
import { benchSmallFiles } from "./small_files.ts";
import { content, Subject } from "./subject.ts";
import { targetsOf } from "./targets.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** How much to measure. */
export interface Plan {
  readonly name: string;
  readonly durationMs: number;
  readonly sizes: readonly number[];
  readonly concurrencies: readonly number[];
  readonly levels: readonly Level[];
  readonly largeRounds: number;
  readonly lagSamples: number;
  readonly connections: number;
}

const FULL: Plan = {
  name: "full",
  durationMs: 2_000,
  sizes: [4 * KIB, 64 * KIB, MIB],
  concurrencies: [1, 16, 64],
  levels: ["A", "B", "C"],
  largeRounds: 5,
  lagSamples: 200,
  connections: 1_000,
};

const QUICK: Plan = {
  name: "quick",
  durationMs: 1_000,
  sizes: [4 * KIB, MIB],
  concurrencies: [16],
  levels: ["A", "C"],
  largeRounds: 2,
  lagSamples: 50,
  connections: 1_000,
};

/** What all measurements together found. */
export interface Findings {
  readonly rows: Row[];
  readonly bareUpload: Figures;
  readonly bareDownload: Figures;
  readonly lags: readonly Lag[];
  readonly many: ManyConnections;
  /** Memory of an agent after all the loads, in bytes. */
  readonly restRssBytes: number;
  readonly tls: Figures | undefined;
  readonly fastdfs: FastdfsFigures | undefined;
}

class Bench {
  readonly rows: Row[] = [];

  constructor(readonly plan: Plan, readonly subject: Subject) {}

  /** Let the compilers see the paths before anything counts. */
  async warmUp(): Promise<void> {
    const load = {
      concurrency: 8,
      durationMs: this.plan.durationMs,
      bytesPerOperation: 0,
      serverPids: [],
    };
    const size = 2 * KIB;
    for (const level of this.plan.levels) {
      await runLoad({
        ...load,
        worker: () => this.subject.uploader(size, level, "each"),
      });
    }
    await runLoad({
      ...load,
      worker: () => this.subject.redirectedDownloader(size),
    });
    await runLoad({ ...load, worker: () => this.subject.deleter(size) });
  }

  /** Uploads and downloads of every size, level and concurrency. */
  async grid(): Promise<void> {
    for (const size of this.plan.sizes) {
      for (const concurrency of this.plan.concurrencies) {
        for (const level of this.plan.levels) {
          await this.upload(size, concurrency, level);
        }
        await this.download(size, concurrency);
      }
    }
    await this.placedOnce();
    for (const concurrency of this.plan.concurrencies) {
      await this.delete(4 * KIB, concurrency);
    }
  }

  async upload(size: number, concurrency: number, level: Level): Promise<void> {
    await this.#row("upload", { size, level, concurrency }, {
      worker: () => this.subject.uploader(size, level, "each"),
    });
  }

  /** Uploads with a place that was asked for once: what an SDK would do. */
  async placedOnce(): Promise<void> {
    const concurrency = Math.min(16, this.plan.concurrencies.at(-1) ?? 1);
    const size = 4 * KIB;
    for (const level of this.plan.levels) {
      await this.#row("upload, placed once", { size, level, concurrency }, {
        worker: () => this.subject.uploader(size, level, "once"),
      });
    }
  }

  async download(size: number, concurrency: number): Promise<void> {
    const { agents } = this.subject.stack.ready;
    await this.#row("download", { size, level: "", concurrency }, {
      worker: (index) => {
        const agent = agents[index % agents.length];
        if (agent === undefined) throw new Error("no agent");
        return this.subject.downloader(size, agent);
      },
    });
    if (size > 4 * KIB) return;
    await this.#row("download by redirect", { size, level: "", concurrency }, {
      worker: () => this.subject.redirectedDownloader(size),
    });
  }

  async delete(size: number, concurrency: number): Promise<void> {
    await this.#row("delete", { size, level: "", concurrency }, {
      worker: () => this.subject.deleter(size),
    });
  }

  /** 100 MiB one after another, beside a bare server on the same disk. */
  async large(bare: Peer): Promise<[Figures, Figures]> {
    const size = 100 * MIB;
    const load = { size, concurrency: 1, operations: this.plan.largeRounds };
    const body = content(size);
    const bareUpload = await this.#row("upload, bare server", {
      ...load,
      level: "",
    }, {
      worker: () => peerUploader(bare, "/large", body),
      serverPids: bare.pids,
    });
    for (const level of this.plan.levels) {
      await this.#row("upload", { ...load, level }, {
        worker: () => this.subject.uploader(size, level, "each"),
      });
    }
    const bareDownload = await this.#row("download, bare server", {
      ...load,
      level: "",
    }, {
      worker: () => peerDownloader(bare, "/large", size),
      serverPids: bare.pids,
    });
    const agent = this.subject.stack.ready.agents[0];
    if (agent === undefined) throw new Error("no agent");
    await this.#row("download", { ...load, level: "" }, {
      worker: () => this.subject.downloader(size, agent),
    });
    return [bareUpload, bareDownload];
  }

  /** Downloads of the same bytes from nginx. */
  async nginx(peer: Peer, dir: string): Promise<void> {
    for (const size of this.plan.sizes) {
      await Deno.writeFile(`${dir}/f${size}`, content(size));
      for (const concurrency of this.plan.concurrencies) {
        await this.#row("download, nginx", { size, level: "", concurrency }, {
          worker: () => peerDownloader(peer, `/f${size}`, size),
          serverPids: peer.pids,
        });
      }
    }
  }

  async #row(
    what: string,
    cell: {
      size: number;
      level: string;
      concurrency: number;
      operations?: number;
    },
    load: {
      worker: (index: number) => Promise<() => Promise<boolean | void>>;
      serverPids?: readonly number[];
    },
  ): Promise<Figures> {
    const figures = await runLoad({
      concurrency: cell.concurrency,
      durationMs: cell.operations === undefined ? this.plan.durationMs : 60_000,
      ...(cell.operations === undefined
        ? {}
        : { operationsMax: cell.operations }),
      bytesPerOperation: cell.size,
      serverPids: load.serverPids ?? this.subject.pids,
      trackerPid: load.serverPids === undefined
        ? this.subject.stack.ready.tracker_pid
        : undefined,
      worker: load.worker,
    });
    const { level, concurrency } = cell;
    const row = {
      what,
      size: sizeText(cell.size),
      level,
      concurrency,
      figures,
    };
    this.rows.push(row);
    say(
      `${what} ${row.size} ${level} × ${concurrency}: ${
        round(figures.perS)
      }/s, ` +
        `${round(figures.mbPerS)} MB/s, p50 ${round(figures.p50Ms)} ms, ` +
        `p99 ${round(figures.p99Ms)} ms, ${
          round(figures.cpuUsPerOperation)
        } µs CPU (tracker ${round(figures.trackerUsPerOperation)})` +
        (figures.failures > 0
          ? `, ${figures.failures} FAILED: ${figures.firstFailure}`
          : ""),
    );
    return figures;
  }
}

async function measure(plan: Plan): Promise<string> {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const absent: string[] = [];
  const stack = await startStack(scope, { data: `${dir}/kedge-data` });
  const bench = new Bench(plan, new Subject(stack));
  // First, so that the memory of what follows does not count.
  const many = await uploadOnMany(stack, plan.connections, 256 * KIB);
  say(JSON.stringify(many));
  await bench.warmUp();
  await bench.grid();
  const [agent] = stack.ready.agents;
  const restRssBytes = agent === undefined ? 0 : usageOf(agent.pid).rssBytes;

  await Deno.mkdir(`${dir}/bare`);
  const bare = await startBare(scope, `${dir}/bare`);
  const [bareUpload, bareDownload] = await bench.large(bare);
  const lags: Lag[] = [];
  for (const level of plan.levels) {
    lags.push(await visibilityLag(stack, level, plan.lagSamples));
    say(`lag at ${level}: ${JSON.stringify(lags.at(-1))}`);
  }
  await stack.child.stop("SIGINT");

  await Deno.mkdir(`${dir}/nginx`);
  const nginx = await startNginx(scope, `${dir}/nginx`);
  if (nginx === undefined) absent.push("nginx (not installed)");
  else await bench.nginx(nginx, `${dir}/nginx`);

  const tls = await overTls(scope, plan.durationMs).catch((error) => {
    absent.push(`HTTPS (${error})`);
    return undefined;
  });
  const fastdfs = await measureFastdfs(scope, plan.durationMs, absent);
  const { rows } = bench;
  const found = {
    ...{ rows, bareUpload, bareDownload, lags, many, tls, fastdfs },
    restRssBytes,
  };
  return await markdown({
    mode: plan.name,
    rows: [...rows, ...(fastdfs?.rows ?? [])],
    absent,
    ...targetsOf(found),
  });
}

/** A size for people. */
export function sizeText(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}

const asksForSmallFiles = ["--small-files", "--http-files"]
  .some((name) => Deno.args.includes(name));
if (import.meta.main && asksForSmallFiles) {
  const page = await benchSmallFiles(Deno.args);
  await Deno.stdout.write(new TextEncoder().encode(page));
} else if (import.meta.main) {
  const isQuick = Deno.args.includes("--quick");
  const page = await measure(isQuick ? QUICK : FULL);
  await Deno.stdout.write(new TextEncoder().encode(page));
  if (!isQuick || Deno.args.includes("--save")) {
    await writePage("README.md", page);
  }
}
