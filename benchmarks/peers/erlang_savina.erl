%% Savina's micro set on Erlang/OTP, as savina_programs.py has it.  erlc erlang_savina.erl
%% erl +S 1 +sbwt none -noshell -run erlang_savina main WORK [N]
%% CPU time is that of all threads of the emulator, the system's share included (cpu_time.erl).
-module(erlang_savina).
-export([main/1]).

-define(RING, 100).
-define(WORKERS, 60).
-define(CREATURES, 100).
-define(BIG, 120).

main([Work]) -> main([Work, "0"]);
main([Work, Size]) ->
    N = case list_to_integer(Size) of 0 -> size_of(Work); Given -> Given end,
    cpu_time:ns(), % so that its code has been loaded
    Before = prepare(Work, N),
    Spent = cpu_time:ns() - Before,
    io:format("{\"runtime\": \"erlang\", \"work\": \"~s\", \"per_cpu_s\": ~p}~n", [Work, N * 1.0e9 / max(1, Spent)]),
    halt(0).

size_of("counting") -> 3000000;
size_of("ping_pong") -> 1000000;
size_of("thread_ring") -> 2000000;
size_of("fork_join_throughput") -> 3000000;
size_of("fork_join_creation") -> 300000;
size_of("chameneos") -> 500000;
size_of("big") -> 960000.

%% Runs it all, checks what came out, and says when it began.
prepare("counting", N) ->
    Me = self(),
    Counter = spawn_link(fun() -> counter(0) end),
    Began = cpu_time:ns(),
    spawn_link(fun() -> produce(N, Counter), Counter ! {get, self()}, receive {counted, C} -> Me ! {done, C} end end),
    receive {done, N} -> Began end;
prepare("ping_pong", N) -> ring(2, 2 * N);
prepare("thread_ring", N) -> ring(?RING, N);
prepare("fork_join_throughput", N) ->
    Me = self(),
    Each = N div ?WORKERS,
    Began = cpu_time:ns(),
    spawn_link(fun() ->
        Master = self(),
        Workers = [spawn_link(fun() -> worker(Master, Each, 0) end) || _ <- lists:seq(1, ?WORKERS)],
        give(Each, Workers),
        Me ! {done, sum(?WORKERS, 0)}
    end),
    Total = Each * ?WORKERS,
    receive {done, Total} -> Began end;
prepare("fork_join_creation", N) ->
    Me = self(),
    Began = cpu_time:ns(),
    spawn_link(fun() ->
        Master = self(),
        fork(N, Master),
        Me ! {done, sum(N, 0)}
    end),
    receive {done, N} -> Began end;
prepare("chameneos", N) ->
    Me = self(),
    Mall = spawn_link(fun() -> mall(N, none, Me) end),
    Creatures = [spawn_link(fun() -> creature(Mall, I rem 3, 0) end) || I <- lists:seq(0, ?CREATURES - 1)],
    Began = cpu_time:ns(),
    [C ! go || C <- Creatures],
    Met = 2 * N,
    receive {done, Met} -> Began end;
prepare("big", N) ->
    Me = self(),
    Each = N div ?BIG,
    All = [spawn_link(fun() -> receive {others, T} -> receive go -> big(I, I, Each, 0, T, Me) end end end)
           || I <- lists:seq(1, ?BIG)],
    Others = list_to_tuple(All),
    [P ! {others, Others} || P <- All],
    Began = cpu_time:ns(),
    [P ! go || P <- All],
    Total = Each * ?BIG,
    Total = lists:sum([receive {answered, A} -> A end || _ <- All]),
    Began.

produce(0, _) -> ok;
produce(N, Counter) -> Counter ! 1, produce(N - 1, Counter).
counter(C) -> receive 1 -> counter(C + 1); {get, From} -> From ! {counted, C} end.

ring(Size, Hops) ->
    Me = self(),
    All = [spawn_link(fun() -> receive {next, Next} -> node(Next, Me) end end) || _ <- lists:seq(1, Size)],
    [P ! {next, Q} || {P, Q} <- lists:zip(All, tl(All) ++ [hd(All)])],
    Began = cpu_time:ns(),
    hd(All) ! Hops,
    receive done -> Began end.
node(Next, Me) -> receive 0 -> Me ! done, node(Next, Me); N -> Next ! N - 1, node(Next, Me) end.

compute() ->
    Sine = math:sin(37.2),
    case Sine * Sine > 0 of true -> 1; false -> 0 end.
worker(Master, 0, Done) -> Master ! {result, Done};
worker(Master, Left, Done) -> receive 1 -> worker(Master, Left - 1, Done + compute()) end.
give(0, _) -> ok;
give(N, Workers) -> [W ! 1 || W <- Workers], give(N - 1, Workers).
fork(0, _) -> ok;
fork(N, Master) -> spawn(fun() -> worker(Master, 1, 0) end) ! 1, fork(N - 1, Master).
sum(0, Total) -> Total;
sum(Left, Total) -> receive {result, R} -> sum(Left - 1, Total + R) end.

mall(0, _, Me) -> closed(?CREATURES, 0, Me);
mall(Left, none, Me) -> receive {meet, From, Colour} -> mall(Left, {From, Colour}, Me) end;
mall(Left, {Waiting, _}, Me) ->
    receive {meet, From, Colour} -> Waiting ! {meet, From, Colour}, mall(Left - 1, none, Me) end.
closed(0, Met, Me) -> Me ! {done, Met};
closed(Left, Met, Me) ->
    receive
        {meet, From, _} -> From ! closed, closed(Left, Met, Me);
        {met, Times} -> closed(Left - 1, Met + Times, Me)
    end.
creature(Mall, Colour, Met) ->
    receive
        go -> Mall ! {meet, self(), Colour}, creature(Mall, Colour, Met);
        {meet, From, Other} ->
            New = complement(Colour, Other),
            From ! {change, New},
            Mall ! {meet, self(), New},
            creature(Mall, New, Met + 1);
        {change, New} -> Mall ! {meet, self(), New}, creature(Mall, New, Met + 1);
        closed -> Mall ! {met, Met}
    end.
complement(Same, Same) -> Same;
complement(One, Other) -> 3 - One - Other.

%% Begins, and goes on at each answer; it answers others to the end, which is the emulator's.
big(I, Lot, Left, Answered, Others, Me) when Left > 0 ->
    Next = (Lot * 1309 + 13849) band 65535,
    element(Next rem ?BIG + 1, Others) ! {ping, I},
    answer(I, Next, Left - 1, Answered, Others, Me);
big(I, Lot, 0, Answered, Others, Me) ->
    Me ! {answered, Answered},
    answer(I, Lot, 0, Answered, Others, Me).
answer(I, Lot, Left, Answered, Others, Me) ->
    receive
        {ping, From} -> element(From, Others) ! pong, answer(I, Lot, Left, Answered, Others, Me);
        pong -> big(I, Lot, Left, Answered + 1, Others, Me)
    end.
