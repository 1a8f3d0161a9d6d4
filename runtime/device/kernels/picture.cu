// Whether what a purifier painted is a picture. Members would be shown what is none, and not every
// engine passes a NaN on to where the host looks for one.

#include "shared.cuh"

extern "C" __global__ void clear_broken(int *broken, int frames) {
    int at = position();
    if (at < frames) broken[at] = 0;
}

// blockIdx.y is the frame; a thread looks at STRIP numbers.
extern "C" __global__ void find_broken(const float *pictures, int count, int *broken) {
    int first = position() * STRIP, last = min(first + STRIP, count);
    const float *picture = pictures + (size_t)blockIdx.y * count;
    for (int at = first; at < last; ++at)
        if (!(fabsf(picture[at]) <= 3.4028235e38f)) broken[blockIdx.y] = 1;
}
