// The kernels by name, every thread of a launch one after the other in an order made from a seed,
// or by several workers at once.

#include <cstring>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "kernels.cu"

thread_local Place gridDim, blockDim, blockIdx, threadIdx;

namespace {

template <class... Types, size_t... I>
void call(void (*kernel)(Types...), void **given, std::index_sequence<I...>) {
    kernel(*(Types *)given[I]...);
}

template <class... Types> void call(void (*kernel)(Types...), void **given) {
    call(kernel, given, std::index_sequence_for<Types...>());
}

template <class Kernel>
void run(Kernel kernel, Place grid, unsigned block, void **given, unsigned long long seed,
         unsigned workers) {
    unsigned long long total = 1ull * grid.x * grid.y * grid.z * block;
    unsigned long long step = 1, first = 0;
    if (seed) {  // a step that has no divisor in common with the total comes by every thread once
        first = seed * 0x9e3779b97f4a7c15ull % total;
        step = (seed * 0xbf58476d1ce4e5b9ull % total) | 1;
        while (std::gcd(step, total) != 1) step += 2;
    }
    auto work = [&](unsigned worker) {
        gridDim = grid;
        blockDim = {block, 1, 1};
        for (unsigned long long i = worker; i < total; i += workers) {
            unsigned long long at = (unsigned long long)((first + (unsigned __int128)i * step) %
                                                         total);
            threadIdx = {(unsigned)(at % block), 0, 0};
            at /= block;
            blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y),
                        (unsigned)(at / grid.x / grid.y)};
            call(kernel, given);
        }
    };
    std::vector<std::thread> others;
    for (unsigned worker = 1; worker < workers; ++worker) others.emplace_back(work, worker);
    work(0);
    for (std::thread &other : others) other.join();
}

}  // namespace

extern "C" int launch(const char *name, const unsigned *grid, unsigned block, void **given,
                      unsigned long long seed, unsigned workers) {
    Place places = {grid[0], grid[1], grid[2]};
#define KERNEL(kernel)                                          \
    if (std::strcmp(name, #kernel) == 0) {                      \
        run(kernel, places, block, given, seed, workers);       \
        return 0;                                               \
    }
    KERNEL(clear_states)
    KERNEL(fill_targets)
    KERNEL(threshold_mask)
    KERNEL(join_lesion)
    KERNEL(count_areas)
    KERNEL(choose_lesion)
    KERNEL(spread_outside)
    KERNEL(join_outside)
    KERNEL(settle_mask)
    KERNEL(place_boxes)
    KERNEL(clear_broken)
    KERNEL(find_broken)
    KERNEL(stack_members)
    return 1;
}

// Where each field lies, how large each structure is, and constants; -1 for what there is not.
extern "C" int place_of(const char *name) {
    if (std::strcmp(name, "MOST_CHANNELS") == 0) return MOST_CHANNELS;
    if (std::strcmp(name, "STRIP") == 0) return STRIP;
#define FIELD(structure, field) \
    if (std::strcmp(name, #structure "." #field) == 0) return (int)offsetof(structure, field);
#define SIZE(structure) \
    if (std::strcmp(name, #structure) == 0) return (int)sizeof(structure);
    SIZE(Frame) FIELD(Frame, pixels) FIELD(Frame, height) FIELD(Frame, width) FIELD(Frame, pitch)
    FIELD(Frame, format)
    SIZE(Box) FIELD(Box, x) FIELD(Box, y) FIELD(Box, width) FIELD(Box, height)
    SIZE(Target) FIELD(Target, out) FIELD(Target, margin) FIELD(Target, height)
    FIELD(Target, width) FIELD(Target, colour) FIELD(Target, half) FIELD(Target, area)
    FIELD(Target, square) FIELD(Target, black) FIELD(Target, purified) FIELD(Target, mean)
    FIELD(Target, scale)
    SIZE(State) FIELD(State, best) FIELD(State, top) FIELD(State, left) FIELD(State, bottom)
    FIELD(State, right) FIELD(State, area) FIELD(State, next_area) FIELD(State, not_finite)
    FIELD(State, unused)
    SIZE(Lesion) FIELD(Lesion, box) FIELD(Lesion, found) FIELD(Lesion, area)
    FIELD(Lesion, next_area) FIELD(Lesion, touches_border) FIELD(Lesion, not_finite)
    FIELD(Lesion, unused)
    SIZE(Said) FIELD(Said, values) FIELD(Said, softmax) FIELD(Said, unused)
    return -1;
}
