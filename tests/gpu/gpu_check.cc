// equipoise-gpu-check: runs the checks on the device that EQUIPOISE_DEVICE and this machine give and writes what they
// found as JSON. Exit code 0: all passed; 1: some did not; 2: there is no device, in one line.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "common/base/error.h"
#include "tests/gpu/check.h"
#include "worker/collective/cpu_collective.h"
#include "worker/training/attempt.h"

namespace equipoise::gpu_check {
namespace {

struct Check {
  const char* name;
  const char* what;
  Finding (*run)(const CheckDevice& device);
};

constexpr Check kChecks[] = {
    {"collective", "sums and broadcasts of one rank", check_collective},
    {"attention", "kernels that attention takes", check_attention},
    {"varlen", "flash attention over sequences of different lengths", check_varlen},
    {"families", "a step of every family against the CPU", check_families},
    {"masks", "dropout masks and codes of four bits", check_masks_and_codes},
    {"gemma-full", "Gemma 2B's shape, all parameters", check_gemma_full},
    {"gemma-lora", "Gemma 2B's shape, LoRA", check_gemma_lora},
    {"llama-nf4", "four layers of an 8B Llama's shape at four bits", check_llama_nf4},
    {"repeated", "the same steps twice", check_repeated_steps},
    {"out-of-memory", "memory that is used up", check_out_of_memory},
};

nlohmann::json run_check(const Check& check, const CheckDevice& device) {
  const auto start = std::chrono::steady_clock::now();
  Finding finding;
  try {
    finding = check.run(device);
  } catch (const std::exception& failure) {
    finding.expect(false, failure_text(failure));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::fprintf(stderr, "%-14s %s  %.1f s  %s\n", check.name, finding.fault.empty() ? "passed" : "FAILED", seconds,
               (finding.fault.empty() ? finding.summary : finding.fault).c_str());
  return {{"name", check.name},     {"what", check.what},         {"passed", finding.fault.empty()},
          {"fault", finding.fault}, {"summary", finding.summary}, {"left_out", finding.left_out},
          {"seconds", seconds},     {"numbers", finding.numbers}};
}

nlohmann::json versions_json(const GpuLibraryEntry* library) {
  if (library == nullptr) return nullptr;
  const GpuVersions versions = library->versions();
  return {{"cuda_driver", versions.cuda_driver},   {"cuda_compiled", versions.cuda_compiled},
          {"cuda_loaded", versions.cuda_loaded},   {"nccl_compiled", versions.nccl_compiled},
          {"nccl_loaded", versions.nccl_loaded},   {"cudnn_compiled", versions.cudnn_compiled},
          {"cudnn_loaded", versions.cudnn_loaded}, {"driver", gpu_surroundings().driver}};
}

nlohmann::json run_checks(Collective& host, const std::vector<std::string>& wanted) {
  DeviceCollective opened = open_device(host, host);
  join_gpu_ranks(opened, host, kCollectiveTimeout);
  const CheckDevice device{.opened = opened, .host = host};
  nlohmann::json report = {{"device", opened.device.str()},
                           {"name", opened.name},
                           {"free_bytes", free_memory(opened, host.info())},
                           {"versions", versions_json(opened.library)},
                           {"checks", nlohmann::json::array()}};
  for (const Check& check : kChecks) {
    if (!wanted.empty() && std::ranges::find(wanted, check.name) == wanted.end()) continue;
    report["checks"].push_back(run_check(check, device));
  }
  return report;
}

bool all_passed(const nlohmann::json& report) {
  const auto& checks = report["checks"];
  return std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check["passed"] == true; });
}

}  // namespace
}  // namespace equipoise::gpu_check

int main(int argc, char** argv) {
  std::string output;
  std::vector<std::string> wanted, names;
  for (const auto& check : equipoise::gpu_check::kChecks) names.emplace_back(check.name);
  CLI::App app{"Checks what a GPU computes. EQUIPOISE_DEVICE=cpu runs small versions of the same checks on the CPU."};
  app.add_option("--output", output, "receives the findings as JSON")->type_name("FILE")->required();
  app.add_option("--only", wanted, "run these alone")->delimiter(',')->check(CLI::IsMember(names));
  CLI11_PARSE(app, argc, argv);
  int code = 0;
  try {
    equipoise::run_ranks(1, [&](equipoise::Collective& host) {
      const nlohmann::json report = equipoise::gpu_check::run_checks(host, wanted);
      std::ofstream(output) << report.dump(1) << '\n';
      code = equipoise::gpu_check::all_passed(report) ? 0 : 1;
    });
  } catch (const std::invalid_argument& refused) {
    std::fprintf(stderr, "equipoise-gpu-check: %s\n", refused.what());
    code = 2;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "equipoise-gpu-check: %s\n", equipoise::failure_text(failure).c_str());
    code = 1;
  }
  std::fflush(nullptr);
  std::_Exit(code);
}
