export interface MetricDeclaration {
  readonly kind: "counter" | "gauge" | "seconds";
  readonly help: string;
  readonly labels?: readonly string[];
}

/** Every metric there is. A room that measures something new adds its line here; a test holds the two together. */
export const declaredMetrics: Readonly<Record<string, MetricDeclaration>> = {
  larder_api_requests_total: counter("Requests to the API", "method", "route", "status"),
  larder_api_request_seconds: seconds("How long requests to the API took", "route"),
  larder_traffic_requests_total: counter("Requests that were passed on into sandboxes", "to", "status"),

  larder_sandboxes: gauge("Sandboxes, whether they start, run or end"),
  larder_creates_waiting: gauge("Creates that wait for a place"),
  larder_create_seconds: seconds("From the place in the queue to the answer of the agent"),
  larder_create_step_seconds: seconds("How long one step of a create took", "step"),
  larder_sandboxes_paused: gauge("Sandboxes that sleep"),
  larder_resume_seconds: seconds("From the wish to wake a sandbox to the answer of its agent"),
  larder_snapshot_step_seconds: seconds("How long one step of making a build of a sandbox took", "step"),
  larder_snapshot_dirty_bytes_total: counter(
    "Bytes of memory that sandboxes had changed when they were saved",
  ),
  larder_builds_unpublished: gauge("Builds of sandboxes that are not in the bucket yet"),
  larder_builds_published_total: counter("Builds of sandboxes that were brought to the bucket"),
  larder_sandboxes_ended_total: counter("Sandboxes that ended", "why"),
  larder_restores_total: counter("Machines restored from a snapshot"),
  larder_boots_total: counter("Machines booted from their disk"),
  larder_pool_machines: gauge("Machines that wait, started, for the next sandboxes"),
  larder_pool_takes_total: counter("Creates that found a machine waiting, or none", "outcome"),
  larder_networks: gauge("Networks of sandboxes, and those that wait for the next ones", "state"),
  larder_adoptions_total: counter("Machines that a former daemon had left running, taken over"),
  larder_disk_stops_total: counter("Machines that their VMM stopped because a read of their disk failed"),
  larder_memory_lazy_starts_total: counter("Machines that were started before their memory was whole"),
  larder_memory_stalls_total: counter("Reads of their memory that guests have waited for long"),
  larder_memory_given_up_total: counter(
    "Guests that were ended because a part of their memory could not be had",
  ),

  larder_fetches_total: counter("Fetches", "source", "outcome"),
  larder_fetched_bytes_total: counter("Bytes of chunks that were fetched", "source"),
  larder_retries_total: counter("Attempts after the first one", "kind"),
  larder_bucket_retries_total: counter("Requests to an object store that were sent again"),
  larder_corrupt_chunks_total: counter("Chunks that were not what their digest says", "source"),

  larder_peers: gauge("Other nodes, by whether they are asked", "state"),
  larder_peer_questions_total: counter("Questions to other nodes", "outcome"),
  larder_peer_breaks_total: counter("Times that another node was given up for a while", "why"),
  larder_peer_answers_total: counter("Chunks and inputs that other nodes asked for", "kind"),
  larder_peer_served_bytes_total: counter("Bytes of chunks and inputs that were sent to other nodes"),
  larder_peer_refusals_total: counter("Connections of those who do not know the secret"),

  larder_cache_failed_fetches_total: counter("Objects that a flight gave up", "artifact", "kind"),
  larder_cache_passed_through_total: counter("Reads served without being kept, for want of room"),
  larder_cache_verified_after_restart_total: counter("What was kept, verified on its first read", "outcome"),
  larder_cache_unexplained_total: counter("What the journal did not explain, removed at start"),
  larder_cache_joined_total: counter("Waits for a flight that another one had started", "kind"),
  larder_cache_evictions_total: counter("Builds, or parts of them, that left the shelf", "reason"),
  larder_cache_evicted_bytes_total: counter("Bytes that left the shelf to make room", "reason"),
  larder_cache_seals_total: counter("Memfiles that were found whole and sealed"),
  larder_cache_retirements_total: counter("Sealed memfiles that were found bad and made anew"),
  larder_cache_disk_errors_total: counter("What the shelf's disk refused", "kind"),
  larder_cache_leases: gauge("Leases held"),
  larder_cache_flights: gauge("Fetches under way"),
  larder_cache_bytes: gauge("Bytes of the shelf", "kind"),
  larder_cache_artifacts: gauge("Artifacts of the builds on the shelf", "state"),

  larder_nbd_reads_total: counter("Reads of disks by machines", "outcome"),
  larder_nbd_read_bytes_total: counter("Bytes that machines read of their disks"),
};

function counter(help: string, ...labels: string[]): MetricDeclaration {
  return { kind: "counter", help, labels };
}

function gauge(help: string, ...labels: string[]): MetricDeclaration {
  return { kind: "gauge", help, labels };
}

function seconds(help: string, ...labels: string[]): MetricDeclaration {
  return { kind: "seconds", help, labels };
}
