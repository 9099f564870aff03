//===- Generate.cpp - moe-run generate ------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Generation/Generator.h"
#include "lib/Engine/Report/ChromeTrace.h"
#include "lib/Engine/Support/Files.h"
#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Support/Strings.h"
#include "lib/Engine/Text/ByteTokenizer.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"

#include <cstdio>

namespace moe::run {
namespace {

constexpr const char *kExamples =
    "  moe-run generate tiny.moe --checkpoint runs/tiny --prompt \"In the beginning\"\n"
    "  moe-run generate tiny.moe --checkpoint runs/tiny --prompt \"And\" --max-tokens 300 --temperature 0.7 --seed 2\n"
    "  moe-run generate tiny.moe --checkpoint runs/tiny --prompt-file start.txt --output sample.txt\n";

constexpr int kSchemaVersion = 1;

struct GenerateOptions {
  ConfigOptions config;
  OutputOptions output;
  std::string checkpoint, prompt, promptFile, file, trace;
  bool noEcho = false;
};

const char *name(engine::GenerationEnd end) {
  switch (end) {
  case engine::GenerationEnd::maxTokens:
    return "max_tokens";
  case engine::GenerationEnd::endOfDocument:
    return "end_of_document";
  case engine::GenerationEnd::contextFull:
    return "context_full";
  case engine::GenerationEnd::cancelled:
    return "cancelled";
  }
  return "";
}

bool emit(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

Status runGenerate(const GenerateOptions &options) {
  engine::Console console(options.output.console);
  Result<engine::RunConfig> config = options.config.resolve();
  if (!config)
    return config.status();
  std::string prompt = options.prompt;
  if (!options.promptFile.empty()) {
    Result<std::string> text = engine::readFile(options.promptFile);
    if (!text)
      return text.status();
    prompt = *text;
  }
  if (prompt.empty())
    return Status(ErrorCode::usage, "there is nothing to continue; give --prompt TEXT or --prompt-file FILE");
  Result<std::unique_ptr<Session>> session = openSession(*config);
  if (!session)
    return session.status();
  Result<engine::ModelInfo> model = engine::readModelInfo((*session)->artifact());
  if (!model)
    return model.status();
  Result<engine::Generator> generator = engine::Generator::create(**session, *model);
  if (!generator)
    return generator.status();
  if (Status status = restoreModel(**session, options.checkpoint, console); !status)
    return status;
  Result<std::unique_ptr<engine::ChromeTrace>> trace = engine::ChromeTrace::create(**session, options.trace);
  if (!trace)
    return trace.status();
  (*session)->setObserver((*trace)->observer());

  std::string text = options.noEcho ? "" : prompt;
  const bool streams = !options.output.json;
  if (streams)
    emit(text);
  const engine::SamplingOptions sampling{config->temperature, config->topK, config->topP,
                                         static_cast<std::uint64_t>(config->seed)};
  Result<engine::Generation> generation =
      generator->generate(engine::ByteTokenizer::encode(prompt), config->maxTokens, sampling, [&](std::int32_t token) {
        text += engine::ByteTokenizer::decode(token);
        return !streams || emit(std::string_view(&text.back(), 1));
      });
  if (!generation)
    return generation.status();
  const std::size_t count = generation->tokens.size();
  if (streams)
    emit("\n");
  else
    emit(engine::Json({{"schema_version", kSchemaVersion},
                       {"prompt", prompt},
                       {"text", text},
                       {"tokens", count},
                       {"end", name(generation->end)},
                       {"prefill_seconds", generation->prefillSeconds},
                       {"decode_seconds", generation->decodeSeconds}})
             .dump(2, ' ', false, engine::Json::error_handler_t::replace) +
         "\n");
  if (!options.file.empty())
    if (Status status = engine::replaceFile(options.file, text); !status)
      return status;
  console.info(engine::describeEnd(generation->end, *model->serving, count) +
               engine::format("; prompt of %zu tokens in %.3f s, then %.0f tokens/s", prompt.size(),
                              generation->prefillSeconds,
                              static_cast<double>(count) / std::max(generation->decodeSeconds, 1e-9)));
  return (*trace)->finish();
}

} // namespace

Command addGenerate(CLI::App &root) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App *app = addSubcommand(root, "generate", "Continue a prompt.", kExamples);
  ConfigOptions &config = options->config;
  config.declare(*app);
  app->add_option("--checkpoint", options->checkpoint, "a run directory (its newest checkpoint) or a checkpoint")
      ->required()
      ->type_name("DIR");
  CLI::Option *prompt = app->add_option("--prompt", options->prompt, "the text to continue");
  app->add_option("--prompt-file", options->promptFile, "the same from a file")->excludes(prompt)->type_name("FILE");
  config.flag(*app, "--max-tokens", "generation.max_tokens");
  config.flag(*app, "--temperature", "generation.temperature");
  config.flag(*app, "--top-k", "generation.top_k");
  config.flag(*app, "--top-p", "generation.top_p");
  config.flag(*app, "--seed", "run.seed");
  config.flag(*app, "--threads", "run.threads");
  config.flag(*app, "--device", "run.device");
  app->add_option("--output", options->file, "write the text to this file too")->type_name("FILE");
  app->add_flag("--no-echo", options->noEcho, "without the prompt in front");
  declareTrace(*app, options->trace);
  options->output.declare(*app);
  return {app, [options] { return runGenerate(*options); }};
}

} // namespace moe::run
