"""The table of Larder's speed and memory, measured on this machine beside what else is installed. scripts/bench.sh runs
it.

measures    what is measured and what it must be: the table without its figures
rows/       how each row is measured
rounds      taking turns, medians, CPU time per request
load        wrk, the open loop, single requests
servers     origin, floor, Larder, Redis and the peers
processes   children: started, pinned, waited for, ended
machine     cores, versions, whether it is quiet
report      verdicts, Markdown, JSON
"""
