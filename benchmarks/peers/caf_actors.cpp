// The workloads on CAF, the C++ Actor Framework: event-based actors on one scheduler thread.
// g++ -O2 -std=c++17 caf_actors.cpp -o caf_actors -lcaf_core -pthread      (Debian: libcaf-dev; written for 0.17)
// caf_actors WORK [N]
// CPU time is that of all threads of the process.
#include <caf/all.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using number = int64_t;
constexpr int ring_actors = 100;
constexpr int many_senders = 100;

number cpu_ns() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return spent.tv_sec * number{1000000000} + spent.tv_nsec;
}

number resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  number all = 0, resident = 0;
  statm >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Set once by an actor, waited for by the main thread.
class finish {
public:
  void set() {
    std::lock_guard<std::mutex> hold{mutex_};
    over_ = true;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock<std::mutex> hold{mutex_};
    changed_.wait(hold, [this] { return over_; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
};

finish over;

struct counting_state {
  number left = 0;
};

struct linked_state {
  caf::actor next;
};

caf::behavior returning(caf::event_based_actor* self, caf::actor to) {
  return {[=](number message) { self->send(to, message); }};
}

caf::behavior pinging(caf::stateful_actor<counting_state>* self, number round_trips) {
  self->state.left = round_trips;
  auto pong = self->spawn(returning, caf::actor_cast<caf::actor>(self));
  return {[=](number message) {
    if (--self->state.left <= 0)
      over.set();
    else
      self->send(pong, message);
  }};
}

caf::behavior ring_node(caf::stateful_actor<linked_state>* self) {
  return {
    [=](const caf::actor& next) { self->state.next = next; },
    [=](number hops) {
      if (hops == 0)
        over.set();
      else
        self->send(self->state.next, hops - 1);
    },
  };
}

caf::behavior sink(caf::stateful_actor<counting_state>* self, number messages) {
  self->state.left = messages;
  return {[=](number) {
    if (--self->state.left == 0)
      over.set();
  }};
}

caf::behavior producer(caf::event_based_actor* self, caf::actor to) {
  return {[=](number messages) {
    for (number i = 0; i < messages; ++i)
      self->send(to, number{1});
  }};
}

// One message to the sink, then one to itself: as the other runtimes' senders do.
caf::behavior sender(caf::event_based_actor* self, caf::actor to) {
  return {[=](number left) {
    self->send(to, number{1});
    if (left > 1)
      self->send(self, left - 1);
  }};
}

caf::behavior echo(caf::event_based_actor*) {
  return {[](number message) { return message; }};
}

// The next question is asked where the answer to the last one arrives.
caf::behavior asker(caf::event_based_actor* self, caf::actor of) {
  return {[=](number questions) {
    if (questions == 0) {
      over.set();
      return;
    }
    self->request(of, std::chrono::seconds(5), number{1}).then([=](number) { self->send(self, questions - 1); });
  }};
}

caf::behavior idle(caf::event_based_actor*) {
  return {[](number) {}};
}

struct outcome {
  number operations = 0;
  number spent_ns = 0;
  double bytes = -1;
};

outcome after(number operations, const std::function<void()>& begin) {
  auto began = cpu_ns();
  begin();
  over.wait();
  return {operations, cpu_ns() - began};
}

// Prints the line and leaves at once: what actors still hold of each other ends with the process.
[[noreturn]] void emit(const char* work, const outcome& found) {
  std::printf("{\"runtime\": \"caf\", \"work\": \"%s\", \"per_cpu_s\": %.1f", work,
              static_cast<double>(found.operations) * 1e9 / static_cast<double>(found.spent_ns));
  if (found.bytes >= 0)
    std::printf(", \"bytes\": %.1f", found.bytes);
  std::printf("}\n");
  std::fflush(stdout);
  _exit(0);
}

using workload = std::function<outcome(caf::actor_system&, number)>;

const std::map<std::string, std::pair<number, workload>> workloads{
  {"ping_pong",
   {500000,
    [](caf::actor_system& system, number n) {
      auto ping = system.spawn(pinging, n);
      return after(n, [=] { caf::anon_send(ping, number{1}); });
    }}},
  {"ring",
   {1000000,
    [](caf::actor_system& system, number n) {
      std::vector<caf::actor> nodes;
      for (int i = 0; i < ring_actors; ++i)
        nodes.push_back(system.spawn(ring_node));
      for (int i = 0; i < ring_actors; ++i)
        caf::anon_send(nodes[i], nodes[(i + 1) % ring_actors]);
      return after(n, [&] { caf::anon_send(nodes[0], n); });
    }}},
  {"fan_in",
   {1000000,
    [](caf::actor_system& system, number n) {
      auto from = system.spawn(producer, system.spawn(sink, n));
      return after(n, [=] { caf::anon_send(from, n); });
    }}},
  {"many_to_one",
   {1000000,
    [](caf::actor_system& system, number n) {
      auto each = n / many_senders;
      auto to = system.spawn(sink, each * many_senders);
      std::vector<caf::actor> senders;
      for (int i = 0; i < many_senders; ++i)
        senders.push_back(system.spawn(sender, to));
      return after(each * many_senders, [&] {
        for (auto& from : senders)
          caf::anon_send(from, each);
      });
    }}},
  {"ask",
   {200000,
    [](caf::actor_system& system, number n) {
      auto from = system.spawn(asker, system.spawn(echo));
      return after(n, [=] { caf::anon_send(from, n); });
    }}},
  {"spawn",
   {100000,
    [](caf::actor_system& system, number n) {
      std::vector<caf::actor> actors;
      actors.reserve(static_cast<size_t>(n));
      auto before = resident_bytes();
      auto began = cpu_ns();
      for (number i = 0; i < n; ++i)
        actors.push_back(system.spawn(idle));
      outcome found{n, cpu_ns() - began};
      found.bytes = static_cast<double>(resident_bytes() - before) / static_cast<double>(n);
      emit("spawn", found); // before a hundred thousand actors are torn down
      return found;
    }}},
};

} // namespace

int main(int argc, char** argv) {
  auto chosen = argc > 1 ? workloads.find(argv[1]) : workloads.end();
  if (chosen == workloads.end()) {
    std::fprintf(stderr, "usage: caf_actors WORK [N], where WORK is one of");
    for (auto& known : workloads)
      std::fprintf(stderr, " %s", known.first.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  caf::actor_system_config settings;
#if CAF_VERSION >= 1800
  settings.set("caf.scheduler.max-threads", 1);
#else
  settings.set("scheduler.max-threads", 1);
#endif
  caf::actor_system system{settings};
  emit(argv[1], chosen->second.second(system, argc > 2 ? std::atoll(argv[2]) : chosen->second.first));
}
