"""Which test covers a module that has no test of its own path."""

COVERED_BY = {
    "cli/test_cam.py": """
        cli/commands/cam.py engines/cam/fusion.py explanation.py
        models/description/output_regions.py tasks/cam_targets.py
    """,
    "cli/test_calibrate.py": """
        cli/commands/gate/calibrate.py gate/calibration/calibrate.py
    """,
    "cli/test_check.py": """
        cli/commands/gate/baseline.py cli/commands/gate/check.py gate/check.py gate/differing.py
        gate/thresholds.py report/checks/github.py report/checks/junit.py
        report/checks/markdown.py report/checks/page.py report/checks/worst.py
    """,
    "cli/test_compare.py": """
        cli/commands/gate/compare.py gate/answers.py gate/compare.py gate/compare_sheet.py
        gate/sheet.py report/compare.py
    """,
    "cli/test_configs.py": """
        spec/starter.py
    """,
    "cli/test_outputs.py": """
        images/regions.py
    """,
    "cli/test_filters.py": """
        cli/commands/filters.py jobs/results/atlases.py jobs/results/optimized.py tasks/canvas.py
        tasks/filters.py tasks/kernels.py tasks/units.py
    """,
    "cli/test_init_sidecar.py": """
        cli/commands/init_sidecar.py models/description/sidecar.py
        models/description/sidecar_writing.py
    """,
    "cli/test_jobs.py": """
        cli/commands/init.py cli/commands/merge.py cli/commands/report.py cli/commands/run.py
        cli/commands/schema.py cli/commands/watch.py cli/job_console.py
    """,
    "cli/test_layers.py": """
        cli/commands/layers.py models/description/layer_table.py
    """,
    "cli/test_maximize.py": """
        cli/commands/maximize.py spec/maximize.py tasks/maximize.py tasks/pictures.py
        tasks/recipes.py tasks/start_picture.py
    """,
    "cli/test_predict.py": """
        cli/commands/predict.py cli/evidence.py explain/judgement.py explain/predictions.py
        jobs/results/joint.py jobs/results/predictions.py jobs/running/predicting.py
        jobs/running/telling.py spec/predict.py spec/task.py tasks/outputs.py tasks/predict.py
    """,
    "cli/test_saliency.py": """
        cli/commands/saliency.py tasks/saliency.py
    """,
    "cli/test_start_up.py": """
        cli/lazy.py cli/options.py cli/rich_help.py cli/shared.py
    """,
    "engines/activation_maximization/test_engine.py": """
        engines/activation_maximization/history.py
        engines/activation_maximization/input_modifiers.py
        engines/activation_maximization/input_space.py engines/activation_maximization/losses.py
        engines/activation_maximization/objectives.py
        engines/activation_maximization/optimizers.py
        engines/activation_maximization/parametrizations.py
        engines/activation_maximization/presets.py engines/activation_maximization/published.py
        engines/activation_maximization/regularizers.py
        engines/activation_maximization/restarts.py engines/activation_maximization/seeds.py
        engines/activation_maximization/selected_filters.py
        engines/activation_maximization/state.py
    """,
    "engines/cam/test_applications.py": """
        events.py spec/build.py tasks/cam.py
    """,
    "engines/cam/test_engine.py": """
        engines/cam/ablationcam.py engines/cam/engine_methods.py engines/cam/fullgrad.py
        engines/cam/guided_gradcam.py engines/cam/layers.py engines/cam/objective.py
        engines/cam/reduction.py engines/cam/registry.py engines/cam/scorecam.py
        engines/cam/settings.py engines/cam/weightings.py tasks/base.py
    """,
    "engines/cam/test_perturbation.py": """
        engines/cam/augmented.py engines/resampling.py
    """,
    "engines/saliency/test_engine.py": """
        engines/saliency/baselines.py engines/saliency/batch.py engines/saliency/blur_ig.py
        engines/saliency/channels.py engines/saliency/gaussian.py engines/saliency/gradient.py
        engines/saliency/integrated_gradients.py engines/saliency/occlusion.py
        engines/saliency/registry.py engines/saliency/rise.py engines/saliency/score.py
        engines/saliency/settings.py engines/saliency/smoothgrad.py
    """,
    "engines/test_target_groups.py": """
        engines/cam/target_groups.py
    """,
    "explain/test_explainer.py": """
        explain/images.py explain/shown.py
        models/live/feeding.py models/live/photo_input.py models/live/session.py
        runtime/cache.py tasks/cache.py tasks/registry.py
    """,
    "gate/test_baseline.py": """
        gate/accepting.py
    """,
    "gate/calibration/test_levels.py": """
        gate/calibration/found.py
    """,
    "gate/test_judging.py": """
        gate/maps.py gate/verdicts.py
    """,
    "jobs/planning/test_digests.py": """
        jobs/planning/identity.py
    """,
    "jobs/planning/test_plan.py": """
        jobs/planning/chunks.py jobs/running/runner.py
    """,
    "jobs/planning/test_sources.py": """
        images/tables.py
        jobs/results/regions.py
    """,
    "jobs/results/test_sheets.py": """
        jobs/results/row.py spec/saliency.py
    """,
    "jobs/results/test_store.py": """
        jobs/results/journal.py jobs/results/resume.py
    """,
    "jobs/test_kill.py": """
        jobs/running/process.py jobs/running/worker.py
    """,
    "jobs/test_run.py": """
        jobs/results/made.py jobs/results/pictures.py jobs/results/writers.py
        jobs/running/chunk.py jobs/running/decoding.py jobs/running/work.py runtime/cores.py
    """,
    "jobs/test_sound.py": """
        images/arrays.py jobs/results/sound.py spec/formats.py
    """,
    "keras_vis/test_commands.py": """
        keras_vis/utils/utils.py
    """,
    "keras_vis/test_defects.py": """
        keras_vis/callbacks.py keras_vis/grad_modifiers.py keras_vis/losses.py
        keras_vis/regularizers.py
    """,
    "keras_vis/test_notebooks.py": """
        keras_vis/input_modifiers.py keras_vis/visualization/cam.py
        keras_vis/visualization/subject.py
    """,
    "keras_vis/test_optimization_callbacks.py": """
        training.py
    """,
    "keras_vis/test_scripts.py": """
        keras_vis/optimizer.py keras_vis/visualization/activation_maximization.py
        keras_vis/visualization/saliency.py
    """,
    "keras_vis/test_signatures.py": """
        keras_vis/backprop_modifiers.py keras_vis/symbolic.py
    """,
    "keras_vis/test_visualization.py": """
        keras_vis/visualization/composed.py keras_vis/visualization/maps.py
        keras_vis/visualization/pattern.py keras_vis/visualization/pictures.py
        keras_vis/visualization/recipes.py keras_vis/visualization/setting.py
    """,
    "models/code/test_architecture.py": """
        cli/commands/init_code.py models/code/chain.py models/code/sizes.py models/code/writing.py
        models/description/layer_kinds.py models/files/weight_layers.py
    """,
    "models/description/evidence/test_forward.py": """
        models/description/evidence/reading.py models/description/evidence/weights.py
    """,
    "models/description/evidence/test_photos.py": """
        models/description/evidence/hypotheses.py
    """,
    "models/description/evidence/test_responses.py": """
        models/description/evidence/bounds.py
    """,
    "models/description/evidence/test_weighing.py": """
        models/description/evidence/photos_given.py models/description/evidence/feeding.py
    """,
    "models/description/test_cam_layers.py": """
        models/description/info.py models/request.py
    """,
    "models/files/test_read.py": """
        models/files/archive.py models/files/errors.py models/files/hdf5.py models/files/json.py
        models/files/kinds.py models/files/limits.py
    """,
    "models/files/test_tfjs.py": """
        models/live/named_weights.py
    """,
    "models/files/test_savedmodel.py": """
        models/files/graph_parts.py models/files/savedgraph.py
    """,
    "models/graph/test_architecture.py": """
        models/graph/config.py models/graph/from_config.py models/graph/wiring.py
    """,
    "models/graph/test_layers.py": """
        models/graph/layers/attention.py models/graph/layers/convolution.py
        models/graph/layers/dense.py models/graph/layers/elementwise.py
        models/graph/layers/encoding.py models/graph/layers/merging.py
        models/graph/layers/operations.py models/graph/layers/pooling.py
        models/graph/layers/recurrent.py models/graph/layers/rules.py models/graph/layers/sizes.py
        models/graph/layers/wrappers.py
    """,
    "models/legacy/test_upgrade.py": """
        models/graph/editing.py models/legacy/changes.py models/legacy/fixes.py
        models/legacy/generation.py models/legacy/nodes.py models/legacy/tables.py
    """,
    "models/live/test_open.py": """
        cli/commands/convert.py models/description/inputs.py models/description/replacements.py
        models/description/trust.py models/legacy/operations.py models/legacy/precision.py
        models/legacy/weights.py models/live/build.py models/live/convert.py
        models/live/imports.py models/live/keras_errors.py models/live/weights_only.py
        models/live/legacy_layers.py models/live/legacy_objects.py models/live/structure.py
        models/live/tracing.py
    """,
    "models/live/test_open_applications.py": """
        models/description/applications.py models/description/evidence/fingerprint.py
    """,
    "models/live/test_open_keras1.py": """
        models/legacy/branches.py models/legacy/keras1.py
    """,
    "models/test_untrusted.py": """
        models/description/config_check.py
    """,
    "render/test_caption.py": """
        render/fonts.py
    """,
    "render/test_grid.py": """
        render/colorbar.py spec/cam.py
    """,
    "render/test_overlay.py": """
        render/defaults.py
    """,
    "report/test_animations.py": """
        jobs/running/animating.py
    """,
    "report/test_report.py": """
        report/charts.py report/data.py report/html.py report/json_document.py report/junit.py
        report/markdown.py report/registry.py report/summary.py report/write.py
    """,
    "runtime/test_cold_start.py": """
        cli/diagnosis.py
    """,
    "runtime/test_memory.py": """
        jobs/running/pool.py
    """,
    "runtime/test_tensorflow.py": """
        cli/commands/devices.py cli/commands/doctor.py
    """,
    "spec/test_job_file.py": """
        options/fields.py options/mistakes.py options/yaml.py spec/file.py spec/filters.py
        spec/images.py spec/job.py spec/pictures.py spec/run.py spec/schema.py
    """,
    "test_docs_commands.py": """
        cli/commands/methods.py
    """,
    "test_package.py": """
        lazy.py
    """,
    "test_plugins.py": """
        engines/activation_maximization/plugin_losses.py
    """,
    "test_shown.py": """
        cli/console.py cli/terminal.py errors.py paths.py
    """,
}
