-- What wrk asks and says: `wrk -s load.lua URL -- DEPTH`.
--
-- Sends DEPTH requests at a time, and prints the figures on one line: requests, microseconds,
-- errors, and the latencies of half, 99 % and 99.9 % of the requests in microseconds.

function init(args)
  local depth = tonumber(args[1])
  -- Without a function `request` wrk sends what it has ready and does not ask this script.
  if depth > 1 then
    local batch = wrk.format():rep(depth)
    function request() return batch end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d\n",
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
