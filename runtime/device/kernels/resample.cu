// From a frame to the inputs of networks: cut, resampled, in their colours, normalised.
//
// The rule of resampling is that of runtime/preprocess.py: each axis for itself, the exact box
// average where it shrinks, linear with pixel centres at half where it grows. Shares are ratios of
// whole numbers here, so that no rounding can move a border. A side is at most 65,535 pixels and a
// network's at most 8,192, so that every product fits into 32 bits.

#include <cuda_fp16.h>

#include "shared.cuh"

struct Axis {
    int source, target;
    int start;  // of the cell's share, in 1/target of a source pixel
    int first, count;
    bool shrinks;

    __device__ Axis(int source, int target, int at) : source(source), target(target) {
        shrinks = target <= source;
        if (shrinks) {
            start = at * source;
            first = start / target;
            count = (start + source + target - 1) / target - first;
        } else {
            int centre = (2 * at + 1) * source - target;  // in 1/(2 target) of a source pixel
            first = centre < 0 ? -1 : centre / (2 * target);
            start = centre - first * 2 * target;
            count = 2;
        }
    }

    __device__ int index(int tap) const {
        return shrinks ? first + tap : min(max(first + tap, 0), source - 1);
    }

    __device__ float weight(int tap) const {
        if (!shrinks) return (tap ? start : 2 * target - start) / (2.0f * target);
        int from = (first + tap) * target;
        return (float)(min(from + target, start + source) - max(from, start)) / source;
    }
};

struct Pixel {
    float b, g, r;
};

__device__ inline float clamped(int value) { return (float)min(max(value >> 20, 0), 255); }

// BT.601 with 16…235, as cameras send it: coefficients times 2^20, rounded as OpenCV rounds them.
__device__ inline Pixel from_yuv(int luma, int u, int v) {
    int light = max(luma - 16, 0) * 1220542 + (1 << 19);
    u -= 128;
    v -= 128;
    Pixel pixel = {
        clamped(light + 2116026 * u),
        clamped(light - 852492 * v - 409993 * u),
        clamped(light + 1673527 * v),
    };
    return pixel;
}

template <int FORMAT>
__device__ inline Pixel fetch(const Frame &frame, int y, int x) {
    const byte *row = (const byte *)frame.pixels + (size_t)y * frame.pitch;
    if (FORMAT == YUYV) {
        const byte *pair = row + 4 * (x / 2);
        return from_yuv(row[2 * x], pair[1], pair[3]);
    }
    if (FORMAT == NV12) {
        const byte *chroma = (const byte *)frame.pixels +
                             (size_t)(frame.height + y / 2) * frame.pitch + (x & ~1);
        return from_yuv(row[x], chroma[0], chroma[1]);
    }
    if (FORMAT == PLANAR) {
        size_t plane = (size_t)frame.height * frame.width;
        const float *red = (const float *)row + x;
        Pixel pixel = {255.0f * red[2 * plane], 255.0f * red[plane], 255.0f * red[0]};
        return pixel;
    }
    Pixel pixel = {(float)row[3 * x], (float)row[3 * x + 1], (float)row[3 * x + 2]};
    return pixel;
}

struct Cover {  // what a black background leaves: the mask's nearest sample, or everything
    const byte *mask;  // null: everything
    int height, width;

    __device__ bool keeps(const Frame &frame, int y, int x) const {
        if (mask == 0) return true;
        int row = (2 * y + 1) * height / (2 * frame.height);
        int column = (2 * x + 1) * width / (2 * frame.width);
        return mask[row * width + column] != 0;
    }
};

template <int FORMAT>
__device__ Pixel averaged(const Frame &frame, Box box, Cover cover, Axis down, Axis along) {
    Pixel sum = {0, 0, 0};
    for (int i = 0; i < down.count; ++i) {
        int y = box.y + down.index(i);
        Pixel line = {0, 0, 0};
        for (int j = 0; j < along.count; ++j) {
            int x = box.x + along.index(j);
            if (!cover.keeps(frame, y, x)) continue;
            float share = along.weight(j);
            Pixel pixel = fetch<FORMAT>(frame, y, x);
            line.b += share * pixel.b;
            line.g += share * pixel.g;
            line.r += share * pixel.r;
        }
        float share = down.weight(i);
        sum.b += share * line.b;
        sum.g += share * line.g;
        sum.r += share * line.r;
    }
    return sum;
}

__device__ inline float hue(float r, float g, float b, float high, float spread) {
    const float least = 1.1920929e-7f;  // of a float, so that grey does not divide by nothing
    float turn = 60.0f / (spread + least);
    float degrees = high == r   ? (g - b) * turn
                    : high == g ? (b - r) * turn + 120.0f
                                : (r - g) * turn + 240.0f;
    return degrees < 0 ? degrees + 360.0f : degrees;
}

__device__ inline int to_channels(Pixel pixel, int colour, float *channels) {
    float r = pixel.r / 255.0f, g = pixel.g / 255.0f, b = pixel.b / 255.0f;
    channels[0] = r;
    channels[1] = g;
    channels[2] = b;
    if (colour == RGB) return 3;
    float high = fmaxf(r, fmaxf(g, b)), spread = high - fminf(r, fminf(g, b));
    channels[3] = hue(r, g, b, high, spread) / 360.0f;
    channels[4] = spread / (high + 1.1920929e-7f);
    channels[5] = high;
    channels[6] = 0.299f * r + 0.587f * g + 0.114f * b;
    return 7;
}

__device__ inline void store(const Target &target, size_t place, float value) {
    if (target.half)
        ((__half *)target.out)[place] = __float2half_rn(value);
    else
        ((float *)target.out)[place] = value;
}

// The same part of a picture of another size: every pixel that it touches.
__device__ inline Box scaled(Box box, const Frame &before, const Frame &after) {
    int y0 = box.y * after.height / before.height, x0 = box.x * after.width / before.width;
    int y1 = ((box.y + box.height) * after.height + before.height - 1) / before.height;
    int x1 = ((box.x + box.width) * after.width + before.width - 1) / before.width;
    Box part = {x0, y0, x1 - x0, y1 - y0};
    return part;
}

// One thread a pixel of a target: blocks × targets × frames.
extern "C" __global__ void fill_targets(const Frame *frames, const Frame *pictures,
                                        const Target *targets, const Box *boxes,
                                        const Lesion *lesions, const byte *masks, int mask_height,
                                        int mask_width) {
    int at = position();
    const Target &target = targets[blockIdx.y];
    if (at >= target.height * target.width) return;
    Frame frame = frames[blockIdx.z];
    int edge = target.area == MIDDLE ? frame.width / 8 : 0;
    Box box = {edge, 0, frame.width - 2 * edge, frame.height};
    Cover cover = {0, mask_height, mask_width};
    if (target.area == OF_LESION) box = boxes[blockIdx.z * gridDim.y + blockIdx.y];
    if (target.purified) {
        box = scaled(box, frame, pictures[blockIdx.z]);
        frame = pictures[blockIdx.z];
    }
    if (target.black && lesions[blockIdx.z].found)
        cover.mask = masks + (size_t)blockIdx.z * mask_height * mask_width;

    Axis down(box.height, target.height, at / target.width);
    Axis along(box.width, target.width, at % target.width);
    Pixel pixel = frame.format == YUYV     ? averaged<YUYV>(frame, box, cover, down, along)
                  : frame.format == NV12   ? averaged<NV12>(frame, box, cover, down, along)
                  : frame.format == PLANAR ? averaged<PLANAR>(frame, box, cover, down, along)
                                           : averaged<BGR>(frame, box, cover, down, along);
    float channels[MOST_CHANNELS];
    int count = to_channels(pixel, target.colour, channels);
    size_t plane = (size_t)target.height * target.width;
    for (int c = 0; c < count; ++c)
        store(target, (blockIdx.z * count + c) * plane + at,
              (channels[c] - target.mean[c]) * target.scale[c]);
}
