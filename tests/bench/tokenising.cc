// Loads a data file as a training process does, and prints how long that took and how much memory it needed:
//   equipoise_tokenise MODEL_FOLDER FILE.jsonl [CACHE_FOLDER]
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/config/job_config.h"
#include "worker/data/data_report.h"
#include "worker/data/dataset_loader.h"

namespace equipoise {
namespace {

// A line "NAME:  123 kB" of /proc/self/status, in MB.
double memory_mb(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) / 1024;
  }
  return 0;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void load(const std::filesystem::path& model, const std::filesystem::path& file, const std::filesystem::path& cache) {
  LoaderSettings settings;
  settings.model = model;
  settings.cache = cache;
  settings.threads = static_cast<int>(std::thread::hardware_concurrency());
  const LoadedDataset loaded = DatasetLoader(settings).load(file, {});
  for (const std::string& note : loaded.notes) std::cerr << note << "\n";
  nlohmann::ordered_json line{{"pairs", loaded.data.size()},       {"from_cache", loaded.from_cache},
                              {"seconds", loaded.seconds.count()}, {"own_memory_mb", memory_mb("RssAnon")},
                              {"mapped_mb", memory_mb("RssFile")}, {"peak_mb", memory_mb("VmHWM")}};
  const auto start = std::chrono::steady_clock::now();
  std::size_t tokens = 0;
  for (const EncodedPair pair : loaded.data.pairs) tokens += pair.num_tokens();
  line["tokens"] = tokens;
  line["digest"] = hex_text(dataset_digest(loaded.data)).substr(0, 16);
  line["digest_seconds"] = seconds_since(start);
  std::cout << line << std::endl;
}

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: equipoise_tokenise MODEL_FOLDER FILE.jsonl [CACHE_FOLDER]\n";
    return 2;
  }
  try {
    equipoise::load(argv[1], argv[2], argc == 4 ? argv[3] : "");
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << "\n";
    return 1;
  }
}
