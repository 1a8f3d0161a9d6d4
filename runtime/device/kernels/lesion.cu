// From a network's mask to the lesion: threshold, largest component, holes filled, its box.
//
// Components are sets joined by union-find: a component's root is its first cell in reading order,
// whatever order threads come in, so ties go where runtime/lesion.py has them go. Every array holds
// one part a frame; blockIdx.y is the frame.

#include "shared.cuh"

const int NONE = -1;
const int REACH = 32;  // how far a cell looks to its left for the beginning of its run

__device__ inline int load(const int *at) { return *(const volatile int *)at; }

__device__ inline int root_of(int *parent, int cell) {
    int above = load(parent + cell);
    while (above != cell) {
        int next = load(parent + above);
        if (next != above) parent[cell] = next;  // the way is shorter for whoever comes after
        cell = above;
        above = next;
    }
    return cell;
}

__device__ inline void join(int *parent, int one, int other) {
    for (;;) {
        one = root_of(parent, one);
        other = root_of(parent, other);
        if (one == other) return;
        if (one < other) {
            int swapped = one;
            one = other;
            other = swapped;
        }
        int had = atomicMin(parent + one, other);
        if (had == one) return;
        one = had;  // somebody joined it elsewhere meanwhile: what they joined belongs here too
    }
}

extern "C" __global__ void clear_states(State *states, int frames) {
    int at = position();
    if (at >= frames) return;
    State state = {};
    state.top = state.left = 0x7fffffff;
    state.bottom = state.right = -1;
    states[at] = state;
}

extern "C" __global__ void threshold_mask(const float *probabilities, int width, int cells,
                                          float threshold, int *parents, int *areas,
                                          State *states) {
    int cell = position(), frame = blockIdx.y;
    if (cell >= cells) return;
    size_t base = (size_t)frame * cells;
    const float *given = probabilities + base;
    if (!(fabsf(given[cell]) <= 3.4028235e38f)) states[frame].not_finite = 1;
    areas[base + cell] = 0;
    if (!(given[cell] >= threshold)) {
        parents[base + cell] = NONE;
        return;
    }
    int first = cell, least = max(cell - cell % width, cell - REACH);
    while (first > least && given[first - 1] >= threshold) --first;
    parents[base + cell] = first;
}

// Neighbours by edge or corner. To its left a cell is joined from the start, by `threshold_mask`;
// above, it leaves to its neighbours what they will join anyway.
extern "C" __global__ void join_lesion(int *parents, int width, int cells) {
    int cell = position();
    if (cell >= cells) return;
    int *parent = parents + (size_t)blockIdx.y * cells;
    if (load(parent + cell) == NONE) return;
    if (cell < width) return;
    int column = cell % width;
    bool left = column > 0 && load(parent + cell - 1) != NONE;
    int above = cell - width;
    bool left_above = column > 0 && load(parent + above - 1) != NONE;
    if (load(parent + above) != NONE) {
        if (!(left && left_above)) join(parent, cell, above);
        return;
    }
    if (left_above && !left) join(parent, cell, above - 1);
    bool last = column == width - 1;
    bool right = !last && load(parent + cell + 1) != NONE;
    if (!last && !right && load(parent + above + 1) != NONE) join(parent, cell, above + 1);
}

extern "C" __global__ void count_areas(int *parents, int *areas, int cells) {
    int first = position() * STRIP, last = min(first + STRIP, cells);
    int *parent = parents + (size_t)blockIdx.y * cells, *area = areas + (size_t)blockIdx.y * cells;
    int root = NONE, count = 0;
    for (int cell = first; cell < last; ++cell) {
        if (load(parent + cell) == NONE) continue;
        int found = root_of(parent, cell);
        if (found != root && count > 0) {
            atomicAdd(area + root, count);
            count = 0;
        }
        root = found;
        ++count;
    }
    if (count > 0) atomicAdd(area + root, count);
}

// Of components of one size the first in reading order is kept: the smaller root is the larger key.
extern "C" __global__ void choose_lesion(const int *parents, const int *areas, int cells,
                                         State *states) {
    int cell = position();
    if (cell >= cells) return;
    size_t base = (size_t)blockIdx.y * cells;
    if (load(parents + base + cell) != cell) return;
    word key = ((word)areas[base + cell] << 32) | (word)(cells - cell);
    atomicMax(&states[blockIdx.y].best, key);
}

__device__ inline int kept_root(const State &state, int cells) {
    return state.best == 0 ? NONE : cells - (int)(state.best & 0xffffffffu);
}

// What is outside the kept component, each cell a set of its own, and one more for beyond the edge.
extern "C" __global__ void spread_outside(int *parents, int *outsides, int cells,
                                          const State *states) {
    int cell = position();
    if (cell > cells) return;
    size_t base = (size_t)blockIdx.y * cells;
    int *outside = outsides + (size_t)blockIdx.y * (cells + 1);
    if (cell == cells) {
        outside[cell] = cell;
        return;
    }
    int kept = kept_root(states[blockIdx.y], cells);
    bool is_kept = kept != NONE && load(parents + base + cell) != NONE &&
                   root_of(parents + base, cell) == kept;
    outside[cell] = is_kept ? NONE : cell;
}

// Neighbours by edge only: a corner does not let the outside in.
extern "C" __global__ void join_outside(int *outsides, int width, int cells) {
    int cell = position();
    if (cell >= cells) return;
    int *outside = outsides + (size_t)blockIdx.y * (cells + 1);
    if (load(outside + cell) == NONE) return;
    int column = cell % width;
    bool at_edge = column == 0 || column == width - 1 || cell < width || cell >= cells - width;
    if (at_edge) join(outside, cell, cells);
    if (column > 0 && load(outside + cell - 1) != NONE) join(outside, cell, cell - 1);
    if (cell >= width && load(outside + cell - width) != NONE) join(outside, cell, cell - width);
}

__device__ inline bool is_inside(int *outside, int cell, int cells, int fill_holes) {
    if (load(outside + cell) == NONE) return true;
    return fill_holes && root_of(outside, cell) != root_of(outside, cells);
}

extern "C" __global__ void settle_mask(const int *parents, const int *areas, int *outsides,
                                       int width, int cells, int fill_holes, byte *masks,
                                       State *states) {
    int first = position() * STRIP, last = min(first + STRIP, cells);
    size_t base = (size_t)blockIdx.y * cells;
    int *outside = outsides + (size_t)blockIdx.y * (cells + 1);
    State *state = states + blockIdx.y;
    int area = 0, dropped = 0;
    int top = cells, left = cells, bottom = -1, right = -1;
    for (int cell = first; cell < last; ++cell) {
        bool inside = is_inside(outside, cell, cells, fill_holes);
        masks[base + cell] = inside;
        if (inside) {
            int row = cell / width, column = cell % width;
            ++area;
            top = min(top, row);
            left = min(left, column);
            bottom = max(bottom, row);
            right = max(right, column);
        } else if (load(parents + base + cell) == cell) {
            // A component lies wholly in a hole or wholly outside: its first cell tells for all.
            dropped = max(dropped, areas[base + cell]);
        }
    }
    if (dropped > 0) atomicMax(&state->next_area, dropped);
    if (area == 0) return;
    atomicAdd(&state->area, area);
    atomicMin(&state->top, top);
    atomicMin(&state->left, left);
    atomicMax(&state->bottom, bottom);
    atomicMax(&state->right, right);
}

__device__ inline void widen(int *start, int *stop, int side, int limit) {
    side = min(side, limit);
    int first = *start - (side - (*stop - *start)) / 2;
    first = min(max(first, 0), limit - side);
    *start = first;
    *stop = first + side;
}

// No contraction into one operation: Python rounds after the product, and so does this.
__device__ inline int padding(double margin, int side) {
    return (int)__dadd_rn(__dmul_rn(margin, (double)side), 0.5);
}

__device__ Box view_box(const Target &target, const Frame &frame, Box lesion) {
    int pad_x = padding(target.margin, lesion.width), pad_y = padding(target.margin, lesion.height);
    int x0 = max(lesion.x - pad_x, 0), x1 = min(lesion.x + lesion.width + pad_x, frame.width);
    int y0 = max(lesion.y - pad_y, 0), y1 = min(lesion.y + lesion.height + pad_y, frame.height);
    if (target.square) {
        int side = max(x1 - x0, y1 - y0);
        widen(&x0, &x1, side, frame.width);
        widen(&y0, &y1, side, frame.height);
    }
    Box box = {x0, y0, x1 - x0, y1 - y0};
    return box;
}

__device__ Lesion placed(const State &state, const Frame &frame, int height, int width) {
    Lesion lesion = {};
    lesion.not_finite = state.not_finite;
    if (state.area == 0) return lesion;
    int y0 = state.top * frame.height / height, x0 = state.left * frame.width / width;
    int y1 = ((state.bottom + 1) * frame.height + height - 1) / height;
    int x1 = ((state.right + 1) * frame.width + width - 1) / width;
    Box box = {x0, y0, x1 - x0, y1 - y0};
    lesion.box = box;
    lesion.found = 1;
    lesion.area = state.area;
    lesion.next_area = state.next_area;
    lesion.touches_border = state.top == 0 || state.left == 0 || state.bottom == height - 1 ||
                            state.right == width - 1;
    return lesion;
}

// One thread a target; the first of a frame also writes down the lesion.
extern "C" __global__ void place_boxes(const Frame *frames, const State *states, int mask_height,
                                       int mask_width, const Target *targets, int count, Box *boxes,
                                       Lesion *lesions) {
    int at = position();
    if (at > 0 && at >= count) return;
    const Frame frame = frames[blockIdx.y];
    Lesion lesion = placed(states[blockIdx.y], frame, mask_height, mask_width);
    if (at == 0) lesions[blockIdx.y] = lesion;
    if (at >= count) return;
    Box whole = {0, 0, frame.width, frame.height};
    boxes[blockIdx.y * count + at] =
        lesion.found ? view_box(targets[at], frame, lesion.box) : whole;
}
