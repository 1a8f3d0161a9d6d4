// CUDA's words for a CPU: enough of them to compile runtime/device/kernels as C++.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#define __global__
#define __device__

struct Place {
    unsigned x, y, z;
};
extern thread_local Place gridDim, blockDim, blockIdx, threadIdx;

using std::max;
using std::min;

template <class T> T atomicMin(T *at, T value) {
    T had = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value < had && !__atomic_compare_exchange_n(at, &had, value, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
    return had;
}

template <class T> T atomicMax(T *at, T value) {
    T had = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value > had && !__atomic_compare_exchange_n(at, &had, value, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
    return had;
}

template <class T> T atomicAdd(T *at, T value) {
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

// Compiled with -ffp-contract=off, so that these round twice, as CUDA's do.
inline double __dmul_rn(double one, double other) { return one * other; }
inline double __dadd_rn(double one, double other) { return one + other; }
