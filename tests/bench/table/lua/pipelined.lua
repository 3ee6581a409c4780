-- 16 requests in one write. wrk counts responses, so its rate is that of requests; its latencies mean nothing here.
local batch

init = function()
  batch = wrk.format("GET", wrk.path):rep(16)
end

request = function()
  return batch
end
