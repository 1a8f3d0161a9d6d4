// Everything, as one unit for the compiler.

#include "ensemble.cu"
#include "lesion.cu"
#include "picture.cu"
#include "resample.cu"
