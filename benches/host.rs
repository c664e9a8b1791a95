//! What wgpu itself takes for a dispatch, with criterion: the floor under the host's part of an invoke.
//!
//! Every case encodes as many dispatches as MobileNetV2 has, in one pass, with the bindings of a convolution: two ranges
//! of an arena, weights, bias, parameters. The kernel does nothing. Encoding and submitting are timed apart; waiting is not
//! timed.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tflite_wgpu::gpu::{self, wgpu};

const DISPATCHES: u64 = 57;
const RANGE: u64 = 4096;

const KERNEL: &str = "
@group(0) @binding(0) var<storage, read_write> first: array<f32>;
@group(0) @binding(1) var<storage, read_write> second: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<uniform> params: vec4<u32>;
@compute @workgroup_size(1) fn nothing() {
    if params.x == 1u { second[0] = first[0] + weights[0] + bias[0]; }
}";

/// How the dispatches share what they bind.
#[derive(Clone, Copy, PartialEq)]
enum Sharing {
    /// One bind group for all, set once.
    Group,
    /// A bind group each; weights, biases and parameters lie in one buffer of each kind.
    Buffers,
    /// A bind group each, over buffers of their own for weights and bias.
    Nothing,
}

struct Setup {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Vec<wgpu::ComputePipeline>,
    groups: Vec<wgpu::BindGroup>,
}

/// Pipelines, and bind groups for [`DISPATCHES`].
fn setup(adapter: &wgpu::Adapter, sharing: Sharing, pipelines: usize) -> Option<Setup> {
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).ok()?;
    let source = wgpu::ShaderSource::Wgsl(KERNEL.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let kinds = [storage(false), storage(false), storage(true), storage(true), wgpu::BufferBindingType::Uniform];
    let entries: Vec<_> = (0..).zip(kinds).map(|(binding, ty)| entry(binding, ty)).collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let bind_group_layouts = &[Some(&layout)];
    let descriptor = wgpu::PipelineLayoutDescriptor { label: None, bind_group_layouts, immediate_size: 0 };
    let pipeline_layout = device.create_pipeline_layout(&descriptor);
    let pipeline = |_| {
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        })
    };
    let pipelines = (0..pipelines).map(pipeline).collect();
    let buffer = |size, usage| {
        let usage = usage | wgpu::BufferUsages::COPY_DST;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let all = RANGE * DISPATCHES;
    let arena = buffer(all + RANGE, wgpu::BufferUsages::STORAGE);
    let params = buffer(all, wgpu::BufferUsages::UNIFORM);
    let [weights, biases] = [(); 2].map(|()| buffer(all, wgpu::BufferUsages::STORAGE));
    let group = |i: u64| {
        let at = i * RANGE;
        let own = (sharing == Sharing::Nothing).then(|| [(); 2].map(|()| buffer(RANGE, wgpu::BufferUsages::STORAGE)));
        let [weights, biases] = match &own {
            Some([weights, biases]) => [(weights, 0), (biases, 0)],
            None => [(&weights, at), (&biases, at)],
        };
        let ranges = [(&arena, at), (&arena, at + RANGE), weights, biases, (&params, at)];
        let entries = (0..).zip(ranges).map(|(binding, (buffer, offset))| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: wgpu::BufferSize::new(RANGE),
            }),
        });
        let entries: Vec<_> = entries.collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
    };
    let groups = (0..if sharing == Sharing::Group { 1 } else { DISPATCHES }).map(group).collect();
    Some(Setup { device, queue, pipelines, groups })
}

/// Encodes and submits once, and waits.
fn invoke(setup: &Setup) -> Option<[Duration; 2]> {
    let begin = Instant::now();
    let mut encoder = setup.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let (mut last_pipeline, mut last_group) = (None, None);
        for i in 0..DISPATCHES as usize {
            let (pipeline, group) = (i % setup.pipelines.len(), i % setup.groups.len());
            if last_pipeline.replace(pipeline) != Some(pipeline) {
                pass.set_pipeline(setup.pipelines.get(pipeline)?);
            }
            if last_group.replace(group) != Some(group) {
                pass.set_bind_group(0, setup.groups.get(group)?, &[]);
            }
            pass.dispatch_workgroups(1, 1, 1);
        }
    }
    let commands = encoder.finish();
    let encoded = begin.elapsed();
    let begin = Instant::now();
    let submission = setup.queue.submit([black_box(commands)]);
    let submitted = begin.elapsed();
    setup.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None }).ok()?;
    Some([encoded, submitted])
}

fn host(criterion: &mut Criterion) {
    let Some((summary, adapter)) = pollster::block_on(gpu::adapters()).into_iter().next() else { return };
    eprintln!("{summary}, {DISPATCHES} dispatches");
    let cases = [
        ("one group", Sharing::Group, 1),
        ("groups, shared buffers", Sharing::Buffers, 1),
        ("groups, own buffers", Sharing::Nothing, 1),
        ("groups, own buffers, 12 pipelines", Sharing::Nothing, 12),
    ];
    for (name, sharing, pipelines) in cases {
        let Some(setup) = setup(&adapter, sharing, pipelines) else { continue };
        for (phase, what) in ["encode", "submit"].into_iter().enumerate() {
            criterion.bench_function(&format!("{what}, {name}"), |bencher| {
                bencher.iter_custom(|times| {
                    let invokes = (0..times).filter_map(|_| invoke(&setup));
                    invokes.map(|phases| phases.get(phase).copied().unwrap_or_default()).sum()
                });
            });
        }
    }
}

criterion_group!(benches, host);
criterion_main!(benches);
