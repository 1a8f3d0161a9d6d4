#pragma once

struct __half {
    _Float16 value;
};
inline __half __float2half_rn(float value) { return {(_Float16)value}; }
