#include "client/command_line/run_command.h"

int main(int argc, char** argv) {
  return static_cast<int>(equipoise::run_command({argv + 1, argv + argc}, equipoise::standard_console()));
}
