/**
 * How much a resync asks for in each step of 100 ms: DRBD 8.4's controller.
 *
 * The sync target asks, the source answers. Per step the controller compares
 * what it wants on its way (`c-fill-target`, or what `c-delay-target` makes of
 * the arrivals) with what is on its way and what it has planned, and spreads
 * the difference over `c-plan-ahead` steps. Integer arithmetic, divisions
 * towards zero, as in DRBD: the series of the oracle must come out exactly.
 *
 * Units: 1 sector = 512 bytes, 1 request = 4 KiB = 8 sectors, rates in KiB/s.
 *
 * @module
 */

/** Steps per second. */
const STEPS_PER_SECOND = 10;
const SECTORS_PER_KIB = 2;

/** Sectors of one 4 KiB request. */
export const SECTORS_PER_REQUEST = 8;
const KIB_PER_REQUEST = 4;

/** DRBD's options of the controller; defaults in {@link RESYNC_DEFAULTS}. */
export interface ResyncOptions {
  /** `resync-rate`: the start, or the fixed rate without a plan. */
  readonly resyncRateKibPerSecond: number;
  /** `c-plan-ahead`, in steps of 0.1 s; 0 switches the controller off. */
  readonly planAheadSteps: number;
  /** `c-delay-target`, in steps of 0.1 s; used when the fill target is 0. */
  readonly delayTargetSteps: number;
  /** `c-fill-target`: what to keep on its way. */
  readonly fillTargetSectors: number;
  /** `c-max-rate`. */
  readonly maxRateKibPerSecond: number;
  /** `c-min-rate`: application I/O does not push the resync below it. */
  readonly minRateKibPerSecond: number;
  /** `max-buffers`, in pages of 4 KiB; a resync uses at most half of them. */
  readonly maxBuffers: number;
}

/** DRBD 8.4's defaults. */
export const RESYNC_DEFAULTS: ResyncOptions = {
  resyncRateKibPerSecond: 250,
  planAheadSteps: 20,
  delayTargetSteps: 10,
  fillTargetSectors: 100,
  maxRateKibPerSecond: 102_400,
  minRateKibPerSecond: 250,
  maxBuffers: 2_048,
};

/** What the controller remembers. */
export interface ResyncController {
  /** Asked for, and not yet arrived. */
  readonly inFlightSectors: number;
  /** Corrections of the next steps, in sectors; empty without a plan. */
  readonly plan: readonly number[];
}

/** A controller at the start of a resync, or of a new `c-plan-ahead`. */
export function startController(options: ResyncOptions): ResyncController {
  return {
    inFlightSectors: 0,
    plan: Array.from({ length: options.planAheadSteps }, () => 0),
  };
}

/** What to do in one step. */
export interface ResyncStep {
  readonly controller: ResyncController;
  /** Requests of 4 KiB to make now, at most; 0 or more. */
  readonly requests: number;
  /** The same without `max-buffers`: as answers come, there is room again. */
  readonly wanted: number;
  /** The rate the controller wants, as `want:` in `/proc/drbd`. */
  readonly rateKibPerSecond: number;
  /** Which limit made `requests` smaller than wanted. */
  readonly limitedBy?: "c-max-rate" | "max-buffers";
}

/** One step: `arrivedSectors` came in since the last one. */
export function stepController(
  controller: ResyncController,
  arrivedSectors: number,
  options: ResyncOptions,
): ResyncStep {
  const inFlightSectors = controller.inFlightSectors - arrivedSectors;
  const arrived = { ...controller, inFlightSectors };
  const wanted = controller.plan.length === 0
    ? fixedRate(arrived, options)
    : plannedRate(arrived, arrivedSectors, options);
  const room = requestsMax(options) -
    Math.trunc(inFlightSectors / SECTORS_PER_REQUEST);
  if (room < wanted.requests) {
    return { ...wanted, requests: Math.max(room, 0), limitedBy: "max-buffers" };
  }
  return wanted;
}

/** Requests of 4 KiB that may be on their way. */
export function requestsMax({ maxBuffers }: ResyncOptions): number {
  return Math.trunc(maxBuffers / 2);
}

/** Note what was really asked for; runs of clean blocks need no request. */
export function noteRequested(
  controller: ResyncController,
  sectors: number,
): ResyncController {
  const inFlightSectors = controller.inFlightSectors + sectors;
  return { ...controller, inFlightSectors };
}

function fixedRate(
  controller: ResyncController,
  options: ResyncOptions,
): ResyncStep {
  const rate = options.resyncRateKibPerSecond;
  const requests = Math.trunc(rate / (KIB_PER_REQUEST * STEPS_PER_SECOND));
  return { controller, requests, wanted: requests, rateKibPerSecond: rate };
}

function plannedRate(
  controller: ResyncController,
  arrivedSectors: number,
  options: ResyncOptions,
): ResyncStep {
  const { inFlightSectors, plan } = controller;
  const want = wantedInFlight(inFlightSectors, arrivedSectors, options);
  const planned = plan.reduce((sum, each) => sum + each, 0);
  const perStep = Math.trunc(
    (want - inFlightSectors - planned) / plan.length,
  );
  const [now = 0, ...later] = plan.map((each) => each + perStep);
  const sectors = Math.max(arrivedSectors + now, 0);
  const maxSectors = sectorsPerStep(options.maxRateKibPerSecond);
  const requests = Math.trunc(
    Math.min(sectors, maxSectors) / SECTORS_PER_REQUEST,
  );
  return {
    controller: { inFlightSectors, plan: [...later, 0] },
    requests,
    wanted: requests,
    rateKibPerSecond: requests * KIB_PER_REQUEST * STEPS_PER_SECOND,
    ...(sectors > maxSectors ? { limitedBy: "c-max-rate" as const } : {}),
  };
}

function wantedInFlight(
  inFlightSectors: number,
  arrivedSectors: number,
  options: ResyncOptions,
): number {
  if (inFlightSectors + arrivedSectors === 0) { // the start of a resync
    return sectorsPerStep(options.resyncRateKibPerSecond) *
      options.planAheadSteps;
  }
  return options.fillTargetSectors > 0
    ? options.fillTargetSectors
    : arrivedSectors * options.delayTargetSteps;
}

function sectorsPerStep(kibPerSecond: number): number {
  return Math.trunc(kibPerSecond * SECTORS_PER_KIB / STEPS_PER_SECOND);
}

/** Foreign sectors per check from which on a disk counts as busy (DRBD: 64). */
const BUSY_SECTORS = 64;

/** What the sync source sees when it is asked for a block. */
export interface SourceLoad {
  /** An application request waits for the activity log. */
  readonly applicationWaits: boolean;
  /** Sectors that others than the resync moved since the last check. */
  readonly foreignSectors: number;
  /** Speed of the resync over the last marks. */
  readonly rateKibPerSecond: number;
}

/** Whether the source should answer later: others need the disk. */
export function mustYield(load: SourceLoad, options: ResyncOptions): boolean {
  if (options.minRateKibPerSecond === 0) return false; // throttling is off
  const isBusy = load.applicationWaits || load.foreignSectors > BUSY_SECTORS;
  return isBusy && load.rateKibPerSecond > options.minRateKibPerSecond;
}
