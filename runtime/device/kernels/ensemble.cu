// What the members said, side by side, as the ensemble takes it.

#include "shared.cuh"

// One thread a value: frames × members × count. blockIdx.y is the member, blockIdx.z the frame.
extern "C" __global__ void stack_members(const Said *members, int count, float *stacked) {
    int at = position();
    if (at >= count) return;
    const Said said = members[blockIdx.y];
    const float *values = (const float *)said.values + (size_t)blockIdx.z * count;
    float value = values[at];
    if (said.softmax) {
        float high = values[0], sum = 0;
        for (int i = 1; i < count; ++i) high = fmaxf(high, values[i]);
        for (int i = 0; i < count; ++i) sum += expf(values[i] - high);
        value = expf(value - high) / sum;
    }
    stacked[((size_t)blockIdx.z * gridDim.y + blockIdx.y) * count + at] = value;
}
