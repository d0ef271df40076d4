# What `slabs.py` says, in compiled code.  One class only, and under the GIL.
#
# A slab is aligned to its size, so that a cell's address says in which it lies.  Freed
# places are chained through their first word; places that were never used come last, so
# that pages nobody needed stay untouched.
cdef extern from *:
    """
    #if defined(__linux__) && !defined(Py_LIMITED_API) && !defined(Py_GIL_DISABLED) && !defined(__SANITIZE_ADDRESS__)
    #include <stdint.h>
    #include <sys/mman.h>
    #ifdef MADV_HUGEPAGE
    #define SHOAL_SLABS
    #endif
    #endif

    #ifdef SHOAL_SLABS
    #define SHOAL_SLAB_BYTES ((size_t)2 << 20)

    typedef struct shoal_slab {
        struct shoal_slab *next, *previous; /* among those with room */
        void *freed;
        char *unused;
        size_t used;
    } shoal_slab;

    static shoal_slab *shoal_roomy;
    static size_t shoal_place_bytes, shoal_slabs;

    static int shoal_has_room(shoal_slab *slab) {
        return slab->freed || slab->unused + shoal_place_bytes <= (char *)slab + SHOAL_SLAB_BYTES;
    }
    static void shoal_link(shoal_slab *slab) {
        slab->previous = NULL;
        slab->next = shoal_roomy;
        if (shoal_roomy) shoal_roomy->previous = slab;
        shoal_roomy = slab;
    }
    static void shoal_unlink(shoal_slab *slab) {
        if (slab->next) slab->next->previous = slab->previous;
        if (slab->previous) slab->previous->next = slab->next;
        else shoal_roomy = slab->next;
    }
    static shoal_slab *shoal_new_slab(void) {
        /* Twice as much, of which what is not aligned goes back at once. */
        char *all = mmap(NULL, 2 * SHOAL_SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *start;
        shoal_slab *slab;
        if (all == MAP_FAILED) return NULL;
        start = (char *)(((uintptr_t)all + SHOAL_SLAB_BYTES - 1) & ~(uintptr_t)(SHOAL_SLAB_BYTES - 1));
        if (start != all) munmap(all, (size_t)(start - all));
        munmap(start + SHOAL_SLAB_BYTES, (size_t)(all + SHOAL_SLAB_BYTES - start));
        if (shoal_slabs) madvise(start, SHOAL_SLAB_BYTES, MADV_HUGEPAGE); /* where there are none, pages do */
        slab = (shoal_slab *)start;
        slab->freed = NULL;
        slab->used = 0;
        slab->unused = start + ((sizeof(shoal_slab) + 63) & ~(size_t)63);
        shoal_slabs++;
        shoal_link(slab);
        return slab;
    }
    static PyObject *shoal_new_place(PyTypeObject *kind, Py_ssize_t count) {
        shoal_slab *slab = shoal_roomy;
        PyObject *place;
        (void)count;
        if (!slab && !(slab = shoal_new_slab())) return PyErr_NoMemory();
        if (slab->freed) {
            place = slab->freed;
            slab->freed = *(void **)place;
        } else {
            place = (PyObject *)slab->unused;
            slab->unused += shoal_place_bytes;
        }
        slab->used++;
        if (!shoal_has_room(slab)) shoal_unlink(slab);
        memset(place, 0, shoal_place_bytes);
        return PyObject_Init(place, kind);
    }
    static void shoal_free_place(void *place) {
        shoal_slab *slab = (shoal_slab *)((uintptr_t)place & ~(uintptr_t)(SHOAL_SLAB_BYTES - 1));
        int had_room = shoal_has_room(slab);
        *(void **)place = slab->freed;
        slab->freed = place;
        slab->used--;
        if (!had_room) shoal_link(slab);
        if (!slab->used && (slab->next || slab->previous)) { /* another one has room */
            shoal_unlink(slab);
            shoal_slabs--;
            munmap(slab, SHOAL_SLAB_BYTES);
        }
    }
    static void shoal_lay_out(PyObject *kind) {
        PyTypeObject *type = (PyTypeObject *)kind;
        if (shoal_place_bytes || PyType_IS_GC(type) || type->tp_itemsize) return;
        shoal_place_bytes = ((size_t)type->tp_basicsize + 15) & ~(size_t)15;
        type->tp_alloc = shoal_new_place;
        type->tp_free = shoal_free_place;
    }
    static size_t shoal_slab_count(void) { return shoal_slabs; }
    #else
    static void shoal_lay_out(PyObject *kind) { (void)kind; }
    static size_t shoal_slab_count(void) { return 0; }
    #endif
    """
    void lay_out "shoal_lay_out"(object kind)
    size_t slab_count "shoal_slab_count"()
