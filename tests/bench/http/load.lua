-- What wrk asks and says: `wrk -s load.lua URL -- DEPTH [PATH PAGES]`.
--
-- Sends DEPTH requests at a time, or asks for any of so many PAGES, whose number PATH takes twice.
-- Prints the figures on one line: requests, microseconds, errors, and the latencies of half, 99 %
-- and 99.9 % of the requests in microseconds.

function init(args)
  local depth = tonumber(args[1])
  -- Without a function `request` wrk sends what it has ready and does not ask this script.
  if depth > 1 then
    local batch = wrk.format():rep(depth)
    function request() return batch end
  end
  local path, pages = args[2], tonumber(args[3])
  if path then
    function request()
      local number = math.random(0, pages - 1)
      return wrk.format(nil, path:format(number, number))
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d\n",
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
