-- 10,000 paths, Zipf-like: rank i is asked for in proportion to i^-0.9. The same sequence in every run. With the
-- argument in-order each path is asked for in its turn, so that a cache soon has them all.
math.randomseed(7)
local paths = 10000
local cumulated, sum = {}, 0
for rank = 1, paths do
  sum = sum + rank ^ -0.9
  cumulated[rank] = sum
end

local function rank_of(share)
  local low, high = 1, paths
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cumulated[middle] < share then low = middle + 1 else high = middle end
  end
  return low
end

local in_order, turn = false, 0

init = function(arguments)
  in_order = arguments[1] == "in-order"
end

request = function()
  turn = turn % paths + 1
  local rank = in_order and turn or rank_of(math.random() * sum)
  return wrk.format("GET", wrk.path .. rank .. "?page=" .. rank % 7)
end
