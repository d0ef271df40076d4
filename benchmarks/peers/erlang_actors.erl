%% The workloads on Erlang/OTP.  erlc erlang_actors.erl
%% erl +S 1 +sbwt none -noshell -run erlang_actors main WORK [N]
%% CPU time is that of all threads of the emulator, the system's share included (cpu_time.erl).
-module(erlang_actors).
-export([main/1]).

-define(ACTORS, 100).
-define(HOG, 200000).
-define(PROBES, 10).
-define(PROBE_NS, 2000000).

main([Work]) -> main([Work, "0"]);
main([Work, Size]) ->
    N = case list_to_integer(Size) of 0 -> size_of(Work); Given -> Given end,
    cpu_time:ns(), % so that its code has been loaded
    io:format("{\"runtime\": \"erlang\", \"work\": \"~s\"~s}~n",
              [Work, [io_lib:format(", \"~s\": ~p", [K, V]) || {K, V} <- run(Work, N)]]),
    halt(0).

size_of("ping_pong") -> 1000000;
size_of("ring") -> 2000000;
size_of("many_to_one") -> 1000000;
size_of("fan_in") -> 2000000;
size_of("spawn") -> 200000;
size_of("ask") -> 500000;
size_of("fairness") -> 4000.

%% As measure.py's Stopwatch begins: side by side with others, when all of them are ready.
began() ->
    case os:getenv("SHOAL_BENCH_GATE") of
        false -> ok;
        _ -> io:format("ready~n"), io:get_line("")
    end,
    cpu_time:ns().
now_ns() -> erlang:monotonic_time(nanosecond).
rate(N, Before) -> {per_cpu_s, N * 1.0e9 / max(1, cpu_time:ns() - Before)}.

run("ping_pong", N) ->
    Pong = spawn_link(fun pong/0),
    Before = began(),
    ping(N, Pong),
    [rate(N, Before)];
run("ring", N) ->
    Me = self(),
    Last = spawn_link(fun() -> last(Me) end),
    First = lists:foldl(fun(_, Next) -> spawn_link(fun() -> node(Next, Me) end) end, Last, lists:seq(2, ?ACTORS)),
    Last ! {first, First},
    Before = began(),
    First ! N,
    receive done -> ok end,
    [rate(N, Before)];
run("many_to_one", N) ->
    Me = self(),
    Each = N div ?ACTORS,
    Sink = spawn_link(fun() -> count(Each * ?ACTORS, Me) end),
    Senders = [spawn_link(fun() -> sender(Sink) end) || _ <- lists:seq(1, ?ACTORS)],
    Before = began(),
    [S ! Each || S <- Senders],
    receive done -> ok end,
    [rate(Each * ?ACTORS, Before)];
run("fan_in", N) ->
    Me = self(),
    Sink = spawn_link(fun() -> count(N, Me) end),
    Before = began(),
    spawn_link(fun() -> produce(N, Sink) end),
    receive done -> ok end,
    [rate(N, Before)];
run("spawn", N) ->
    erlang:garbage_collect(),
    Rss = rss(),
    Before = began(),
    Actors = [spawn(fun idle/0) || _ <- lists:seq(1, N)],
    Rate = rate(N, Before),
    [Rate, {bytes, (rss() - Rss) / length(Actors)}];
run("ask", N) ->
    Echo = spawn_link(fun echo/0),
    Before = began(),
    ask(N, Echo),
    [rate(N, Before)];
run("fairness", Ms) ->
    Rounds = calibrate(),
    Me = self(),
    Until = counters:new(1, []),
    counters:put(Until, 1, now_ns() + 60000000000),
    Handled = counters:new(?ACTORS + 1, [write_concurrency]),
    Probes = [spawn(fun() -> probe(Me, []) end) || _ <- lists:seq(1, ?PROBES)],
    Flooders = [spawn(fun() -> flood(Rounds, Handled, I, Until) end) || I <- lists:seq(1, ?ACTORS)],
    Hog = spawn(fun() -> receive go -> hog(Rounds, Handled, Until) end end),
    [Hog ! m || _ <- lists:seq(1, ?HOG)],
    Began = now_ns(),
    Ends = Began + Ms * 1000000,
    counters:put(Until, 1, Ends),
    Hog ! go,
    [F ! m || F <- Flooders],
    spawn(fun() -> post(list_to_tuple(Probes), Began + ?PROBE_NS, 0, Ends, Me) end),
    receive posted -> ok end,
    timer:sleep(1000),
    [P ! report || P <- Probes],
    Late = lists:sort(lists:append([receive {late, L} -> L end || _ <- Probes])),
    Counts = [counters:get(Handled, I) || I <- lists:seq(1, ?ACTORS)],
    Hogs = counters:get(Handled, ?ACTORS + 1),
    Sum = lists:sum(Counts),
    [{jain, Sum * Sum / (?ACTORS * max(1, lists:sum([C * C || C <- Counts])))},
     {hog_share, Hogs / (Sum + Hogs) * (?ACTORS + 1)},
     {probe_p99_us, lists:nth(max(1, trunc(0.99 * length(Late))), Late) / 1000.0}].

rss() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

pong() -> receive {From, M} -> From ! M, pong() end.
ping(0, _) -> ok;
ping(N, P) -> P ! {self(), m}, receive m -> ping(N - 1, P) end.

node(Next, Me) -> receive 0 -> Me ! done, node(Next, Me); N -> Next ! N - 1, node(Next, Me) end.
last(Me) -> receive {first, First} -> node(First, Me) end.

count(0, Me) -> Me ! done;
count(Left, Me) -> receive _ -> count(Left - 1, Me) end.
produce(0, _) -> ok;
produce(N, Sink) -> Sink ! 1, produce(N - 1, Sink).
sender(Sink) -> receive 1 -> Sink ! 1; N -> Sink ! 1, self() ! N - 1, sender(Sink) end.

idle() -> receive stop -> ok end.

echo() -> receive {From, Ref, M} -> From ! {Ref, M}, echo() end.
%% What gen_server:call does: monitor, send, wait with a time-out, demonitor.
ask(0, _) -> ok;
ask(N, P) ->
    Ref = erlang:monitor(process, P),
    P ! {self(), Ref, 1},
    receive {Ref, _} -> erlang:demonitor(Ref, [flush]) after 5000 -> exit(timeout) end,
    ask(N - 1, P).

spin(0) -> ok;
spin(N) -> spin(N - 1).
calibrate() ->
    Took = lists:sort([begin T = now_ns(), spin(20000), now_ns() - T end || _ <- lists:seq(1, 400)]),
    max(1, 20000 * 50000 div lists:nth(100, Took)).
work(Rounds, Handled, I, Until) ->
    case now_ns() > counters:get(Until, 1) of
        true -> false;
        false -> spin(Rounds), counters:add(Handled, I, 1), true
    end.
flood(Rounds, Handled, I, Until) ->
    receive m ->
        case work(Rounds, Handled, I, Until) of true -> self() ! m; false -> ok end,
        flood(Rounds, Handled, I, Until)
    end.
hog(Rounds, Handled, Until) -> receive _ -> work(Rounds, Handled, ?ACTORS + 1, Until), hog(Rounds, Handled, Until) end.
probe(To, Late) ->
    receive
        report -> To ! {late, Late};
        Due -> probe(To, [now_ns() - Due | Late])
    end.
post(_, Due, _, Ends, To) when Due >= Ends -> To ! posted;
post(Probes, Due, K, Ends, To) ->
    case Due - now_ns() of
        Wait when Wait > 0 -> receive after (Wait + 999999) div 1000000 -> ok end;
        _ -> ok
    end,
    {Due2, K2} = post_due(Probes, Due, K, now_ns(), Ends),
    post(Probes, Due2, K2, Ends, To).
post_due(Probes, Due, K, Now, Ends) when Due =< Now, Due < Ends ->
    element(K rem ?PROBES + 1, Probes) ! Due,
    post_due(Probes, Due + ?PROBE_NS, K + 1, Now, Ends);
post_due(_, Due, K, _, _) -> {Due, K}.
