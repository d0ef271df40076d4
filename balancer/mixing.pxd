from libc.stdint cimport int64_t, uint64_t

cdef uint64_t _MASK
cdef uint64_t _START
cdef uint64_t _FIRST
cdef uint64_t _SECOND


cpdef uint64_t mix_three(int64_t first, int64_t second, int64_t third) except? 0xFFFFFFFFFFFFFFFF
cdef uint64_t _mixed(uint64_t x, uint64_t number) noexcept
