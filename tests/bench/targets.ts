/**
 * The targets of the file store, held against what was measured.
 *
 * FastDFS's figures stand for FastDFS 6.16.1 on two such cores when none was
 * measured in the same run: 115 µs CPU per 4 KiB upload and 42 µs per download
 * (both with the tracker), 4,800 uploads/s of 5 KB over 8 connections.
 *
 * @module
 */

import type { Findings } from "./files.ts";
import type { Figures } from "./load.ts";
import { type Fact, round, type Target } from "./report.ts";

const FASTDFS = { uploadUs: 115, downloadUs: 42, uploadsPerS: 4_800 };
const MIB = 2 ** 20;

/** Compare with the targets. */
export function targetsOf(
  found: Findings,
): { targets: Target[]; facts: Fact[] } {
  return {
    targets: [
      ...cpuTargets(found),
      ...rateTargets(found),
      ...lagTargets(found),
      ...largeTargets(found),
      memoryTarget(found),
    ],
    facts: factsOf(found),
  };
}

function cpuTargets(found: Findings): Target[] {
  const uploadUs = found.fastdfs?.uploadUs ?? FASTDFS.uploadUs;
  const downloadUs = found.fastdfs?.downloadUs ?? FASTDFS.downloadUs;
  const source = found.fastdfs === undefined
    ? "FastDFS figure from an earlier run, one replica"
    : "FastDFS in the same run, two replicas";
  const rows: [string, string, string, number][] = [
    ["CPU per 4 KiB upload, A", "upload", "A", 1.5 * uploadUs],
    [
      "CPU per 4 KiB upload, A, placed once",
      "upload, placed once",
      "A",
      1.5 * uploadUs,
    ],
    ["CPU per 4 KiB download", "download", "", downloadUs],
    [
      "CPU per 4 KiB download by redirect",
      "download by redirect",
      "",
      downloadUs,
    ],
  ];
  return rows.map(([what, operation, level, limitUs]) => {
    const best = bestOf(
      found,
      operation,
      level,
      (f) => -f.cpuUsPerOperation,
    );
    return atMost(what, limitUs, best?.cpuUsPerOperation, "µs", source);
  });
}

function rateTargets(found: Findings): Target[] {
  const perS = found.fastdfs?.uploadsPerS ?? FASTDFS.uploadsPerS;
  const best = (level: string) =>
    bestOf(found, "upload", level, (f) => f.perS)?.perS;
  return [
    atLeast("4 KiB uploads per second, A", perS, best("A"), "/s"),
    atLeast(
      "4 KiB uploads per second, C",
      0.3 * perS,
      best("C"),
      "/s",
      "durable on both nodes",
    ),
  ];
}

function lagTargets({ lags }: Findings): Target[] {
  return lags.map((lag) => {
    const isA = lag.level === "A";
    return {
      what: `lag of the second replica, ${lag.level}`,
      wanted: isA ? "p99 ≤ 50 ms" : "0: it has it",
      measured: `p50 ${round(lag.p50Ms)}, p99 ${round(lag.p99Ms)} ms; ` +
        `${lag.readable} of ${lag.samples} readable there at once`,
      isMet: lag.readable === lag.samples &&
        (isA ? lag.p99Ms <= 50 : lag.p50Ms <= 5),
      note: "until its own index lists the file; includes one request",
    };
  });
}

function largeTargets(found: Findings): Target[] {
  const { bareUpload, bareDownload } = found;
  const large = (what: string, level: string) =>
    found.rows.find((row) =>
      row.what === what && row.size === "100 MiB" && row.level === level
    )?.figures.mbPerS;
  const levels = ["A", "B", "C"].filter((level) => large("upload", level));
  return [
    ...levels.map((level) =>
      atLeast(
        `100 MiB upload, ${level}`,
        0.8 * bareUpload.mbPerS,
        large("upload", level),
        "MB/s",
        `bare server ${round(bareUpload.mbPerS)} MB/s, one copy, no checksum`,
      )
    ),
    atLeast(
      "100 MiB download",
      0.8 * bareDownload.mbPerS,
      large("download", ""),
      "MB/s",
      `bare server ${round(bareDownload.mbPerS)} MB/s`,
    ),
  ];
}

function memoryTarget({ many }: Findings): Target {
  const peakMb = many.peakRssBytes / MIB;
  return {
    ...atMost("memory of an agent", 250, peakMb, "MB"),
    isMet: peakMb <= 250 && many.acknowledged === many.connections,
    note: `${many.connections} connections to one agent, each uploading ` +
      `256 KiB at once; ${many.acknowledged} acknowledged; ` +
      `${round(many.idleRssBytes / MIB)} MB before`,
  };
}

function factsOf(found: Findings): Fact[] {
  const plain = found.rows.find((row) =>
    row.what === "download" && row.size === "4 KiB"
  );
  return [
    {
      what: "memory of an agent after all loads of small files",
      value: `${round(found.restRssBytes / MIB)} MB`,
    },
    {
      what: "4 KiB keep-alive GET, plain, p50",
      value: `${round(plain?.figures.p50Ms ?? NaN)} ms at ${
        plain?.concurrency ?? "?"
      } connections`,
    },
    {
      what: "4 KiB keep-alive GET, HTTPS, p50",
      value: found.tls === undefined
        ? "not measured"
        : `${round(found.tls.p50Ms)} ms at 1 connection (p99 ${
          round(found.tls.p99Ms)
        } ms, ${round(found.tls.cpuUsPerOperation)} µs CPU)`,
    },
    ...(found.fastdfs?.facts ?? []),
  ];
}

function bestOf(
  found: Findings,
  what: string,
  level: string,
  score: (figures: Figures) => number,
): Figures | undefined {
  return found.rows
    .filter((row) =>
      row.what === what && row.level === level && row.size === "4 KiB"
    )
    .map(({ figures }) => figures)
    .sort((a, b) => score(b) - score(a))[0];
}

function atMost(
  what: string,
  limit: number,
  value: number | undefined,
  unit: string,
  note = "",
): Target {
  return {
    what,
    wanted: `≤ ${round(limit)} ${unit}`,
    measured: value === undefined ? "–" : `${round(value)} ${unit}`,
    isMet: value === undefined ? undefined : value <= limit,
    note,
  };
}

function atLeast(
  what: string,
  limit: number,
  value: number | undefined,
  unit: string,
  note = "",
): Target {
  return {
    what,
    wanted: `≥ ${round(limit)} ${unit}`,
    measured: value === undefined ? "–" : `${round(value)} ${unit}`,
    isMet: value === undefined ? undefined : value >= limit,
    note,
  };
}
