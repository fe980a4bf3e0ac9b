// Which instruction sets were compiled in, which of them this machine runs, and the table of kernels of one by name.
#pragma once

#include <string>
#include <vector>

#include "engine.h"

namespace panpipe {

// Best first; the last is always "scalar".
const std::vector<const Kernels*>& available_kernels();

// Null if that instruction set is unknown, not compiled in or not this machine's.
const Kernels* find_kernels(const std::string& name);

}  // namespace panpipe
