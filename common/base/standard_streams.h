// Standard input, output and error of this process.
#pragma once

namespace equipoise {

// Opens /dev/null in place of those that are closed: the next file that is opened would have their number, and get what
// the log and libraries write there. Call before any file is opened.
void open_standard_streams();

}  // namespace equipoise
