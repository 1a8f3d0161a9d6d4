// What host and device both know: the layouts stand once more in runtime/device/layouts.py, and a
// test compares the two byte by byte.
//
// No kernel needs the threads of a block to wait for each other; where one step needs the whole of
// another, it is a launch of its own. So the same sources run on a CPU, thread after thread, in any
// order, and that is how their results are tested.

#pragma once

typedef unsigned char byte;
typedef unsigned long long word;

enum Format { BGR = 0, YUYV = 1, NV12 = 2, PLANAR = 3 };
enum Colour { RGB = 0, RGB_HSV_L = 1 };
enum Area { WHOLE = 0, MIDDLE = 1, OF_LESION = 2 };

const int MOST_CHANNELS = 7;
const int STRIP = 8;  // cells that one thread adds up before it adds to what all threads share

struct Frame {  // a picture in memory that the GPU can read
    word pixels;
    int height, width;
    int pitch;  // bytes from one row to the next
    int format;
};

struct Box {
    int x, y, width, height;
};

struct Target {  // one input of a network, and what it shows
    word out;  // frames × channels × height × width
    double margin;
    int height, width;
    int colour;
    int half;  // whether `out` holds 16-bit floats
    int area, square, black;
    int purified;  // whether it shows the frame's picture, and not the frame
    float mean[MOST_CHANNELS];
    float scale[MOST_CHANNELS];  // one over the deviation
};

struct State {  // of one frame's mask while it is worked on
    word best;  // largest area so far, and which component has it
    int top, left, bottom, right;  // rows and columns of the kept component; the last inclusive
    int area;  // of the finished mask
    int next_area;  // of the largest component that is no part of it
    int not_finite;  // whether the network gave anything but numbers
    int unused;
};

struct Lesion {  // what goes back to the host
    Box box;
    int found;
    int area, next_area;
    int touches_border;
    int not_finite;
    int unused[3];
};

struct Said {  // one member's output, to be handed to the ensemble
    word values;  // frames × count
    int softmax;  // whether these are logits where probabilities are wanted
    int unused;
};

__device__ inline int position() { return blockIdx.x * blockDim.x + threadIdx.x; }
