# The machine's clocks without a Python call.  Stands in for `clocks.py` in compiled
# code; where there are no such clocks, `time` is called.
#
# perf_counter_ns: 12 ns instead of 100.  The kernel's own call takes 25, which is a
# tenth of a round trip between two actors.  Where the processor promises that its
# time-stamp counter runs at one rate always, that is read, and held against the
# kernel's clock every few milliseconds.  Never goes back.
#
# thread_time_ns: a system call of about 500 ns, for when a slice overran.
#
# In a browser both are Python's own clock, which is the page's `performance.now()`:
# there is one thread, and the C library's structs are not those we compile with.
# It takes 100 to 200 ns, which is not cheap beside a message.
cdef extern from *:
    """
    #if defined(__EMSCRIPTEN__)
    #define SHOAL_IS_CHEAP 0
    int PyTime_PerfCounterRaw(long long *);  /* public since CPython 3.13, though not in the Limited API */
    static long long shoal_ticks_ns(void) {
        long long now = -1;
        PyTime_PerfCounterRaw(&now);
        return now;
    }
    static long long shoal_thread_ns(void) { return shoal_ticks_ns(); }
    #else
    #define SHOAL_IS_CHEAP 1
    #endif
    #if defined(__EMSCRIPTEN__)
    #elif defined(Py_LIMITED_API) || defined(_WIN32)
    static long long shoal_of_time(const char *name) {
        PyObject *module, *value;
        long long result;
        module = PyImport_ImportModule("time");
        if (!module) return -1;
        value = PyObject_CallMethod(module, name, NULL);
        Py_DECREF(module);
        if (!value) return -1;
        result = PyLong_AsLongLong(value);
        Py_DECREF(value);
        return result;
    }
    static long long shoal_ticks_ns(void) { return shoal_of_time("perf_counter_ns"); }
    static long long shoal_thread_ns(void) { return shoal_of_time("thread_time_ns"); }
    #else
    #include <time.h>
    static long long shoal_monotonic_ns(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
    }
    static long long shoal_thread_ns(void) {
        struct timespec t;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
    }
    #if defined(__x86_64__) && defined(__GNUC__) && !defined(Py_GIL_DISABLED)
    #include <cpuid.h>
    #include <x86intrin.h>
    #define SHOAL_ANCHOR_NS 4000000LL
    static unsigned long long shoal_anchor_tsc, shoal_good_for;
    static long long shoal_anchor_ns;
    static double shoal_ns_per_tick;
    static int shoal_is_steady = -1;
    static long long shoal_anchor(unsigned long long tsc) {
        long long now = shoal_monotonic_ns(), last = 0;
        if (shoal_good_for)
            last = shoal_anchor_ns + (long long)((double)shoal_good_for * shoal_ns_per_tick);
        if (shoal_is_steady < 0) {
            unsigned int a, b, c, d = 0;
            shoal_is_steady = __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 0x100u);
        }
        if (shoal_is_steady) {
            unsigned long long ticks = tsc - shoal_anchor_tsc;
            long long passed = now - shoal_anchor_ns;
            if (!shoal_anchor_ns || passed > 4000000000LL) {  /* slept long: measure afresh */
                shoal_anchor_tsc = tsc;
                shoal_anchor_ns = now;
                shoal_good_for = 0;
            } else if (passed >= SHOAL_ANCHOR_NS && ticks > 1000000) {
                shoal_ns_per_tick = (double)passed / (double)ticks;
                shoal_good_for = (unsigned long long)((double)SHOAL_ANCHOR_NS / shoal_ns_per_tick);
                if (now < last) now = last;  /* the counter ran ahead: the next rate makes up for it */
                shoal_anchor_tsc = tsc;
                shoal_anchor_ns = now;
            } else if (now < last) {
                now = last;
            }
        }
        return now;
    }
    static inline long long shoal_ticks_ns(void) {
        unsigned long long tsc = __rdtsc(), ticks = tsc - shoal_anchor_tsc;
        if (ticks >= shoal_good_for) return shoal_anchor(tsc);
        return shoal_anchor_ns + (long long)((double)ticks * shoal_ns_per_tick);
    }
    #else
    static long long shoal_ticks_ns(void) { return shoal_monotonic_ns(); }
    #endif
    #endif
    """
    const bint IS_CHEAP "SHOAL_IS_CHEAP"
    long long perf_counter_ns "shoal_ticks_ns"() except? -1
    long long thread_time_ns "shoal_thread_ns"() except? -1
