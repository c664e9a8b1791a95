//! What a file says about the use of its model: the metadata entry `TFLITE_METADATA`.

use flatbuffers::{ForwardsUOffset, Vector, VerifierOptions};

use crate::{
    Error, Program,
    error::Fault,
    generated::metadata::{self as schema, root_as_model_metadata_with_opts},
    read::attributes::{list, text},
};

/// Name of the entry.
const ENTRY: &str = "TFLITE_METADATA";

/// What a model is for, by its authors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelMetadata {
    /// Name of the model.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Its version.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// Its licence.
    pub license: String,
    /// Packed files that concern the whole model.
    pub files: Vec<FileMetadata>,
    /// Inputs and outputs of each subgraph.
    pub subgraphs: Vec<SubgraphMetadata>,
}

/// What is said of a subgraph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubgraphMetadata {
    /// Name of the subgraph.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Its inputs, in the subgraph's order.
    pub inputs: Vec<TensorMetadata>,
    /// Its outputs, in the subgraph's order.
    pub outputs: Vec<TensorMetadata>,
    /// Packed files that concern the subgraph.
    pub files: Vec<FileMetadata>,
}

/// What is said of an input or an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorMetadata {
    /// A name for people.
    pub name: String,
    /// What it holds.
    pub description: String,
    /// A name for each dimension.
    pub dimension_names: Vec<String>,
    /// What kind of thing it holds.
    pub content: Content,
    /// Subtracted from an input's values, for each channel or once for all; empty when nothing is.
    pub mean: Vec<f32>,
    /// What the difference is divided by, as long as `mean`.
    pub std: Vec<f32>,
    /// Scores below this one are to be dropped.
    pub score_threshold: Option<f32>,
    /// Smallest values, for each channel or once for all; for information.
    pub min: Vec<f32>,
    /// Largest values, as `min`.
    pub max: Vec<f32>,
    /// Packed files that concern the tensor, such as its labels.
    pub files: Vec<FileMetadata>,
}

/// What a tensor holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Nothing is said, or something that this library does not know.
    #[default]
    Unknown,
    /// Features of no particular kind.
    Feature,
    /// A picture.
    Image {
        /// Whether it has one channel; otherwise red, green, blue where anything is said.
        grayscale: bool,
    },
    /// Boxes.
    BoundingBox,
    /// Sound.
    Audio {
        /// Samples a second, in Hz.
        sample_rate: u32,
        /// Number of channels.
        channels: u32,
    },
}

/// A packed file and what it is for; [`crate::packed_files`] gives its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileMetadata {
    /// Name within the package.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What it is for.
    pub kind: FileKind,
    /// Language of its text, such as `en`; empty when nothing is said.
    pub locale: String,
}

/// What a packed file is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Nothing that this library knows.
    #[default]
    Unknown,
    /// A text for people.
    Description,
    /// A label in each line, for the positions along a tensor's axis.
    AxisLabels,
    /// A label in each line, for a tensor's values.
    ValueLabels,
    /// Parameters that make scores comparable.
    ScoreCalibration,
    /// A word in each line.
    Vocabulary,
    /// An index to search in.
    ScannIndex,
}

impl Program {
    /// The file's metadata; `None` when it has none.
    ///
    /// # Errors
    ///
    /// When the entry is damaged.
    pub fn model_metadata(&self) -> Result<Option<ModelMetadata>, Error> {
        let Some(entry) = self.metadata.iter().find(|m| m.name == ENTRY) else { return Ok(None) };
        let options = VerifierOptions { ignore_missing_null_terminator: true, ..VerifierOptions::default() };
        match root_as_model_metadata_with_opts(&options, &entry.data) {
            Ok(model) => Ok(Some(read(&model))),
            Err(error) => {
                let found = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                Err(Fault::new(format!("metadata {ENTRY:?}"), found, "a flatbuffer of model metadata").in_file())
            }
        }
    }
}

type Tables<'a, T> = Option<Vector<'a, ForwardsUOffset<T>>>;

fn read(model: &schema::ModelMetadata<'_>) -> ModelMetadata {
    let subgraphs = model.subgraph_metadata();
    ModelMetadata {
        name: text(model.name()),
        description: text(model.description()),
        version: text(model.version()),
        author: text(model.author()),
        license: text(model.license()),
        files: files(model.associated_files()),
        subgraphs: subgraphs.iter().flatten().map(|s| subgraph(&s)).collect(),
    }
}

fn subgraph(table: &schema::SubGraphMetadata<'_>) -> SubgraphMetadata {
    let (inputs, outputs) = (table.input_tensor_metadata(), table.output_tensor_metadata());
    SubgraphMetadata {
        name: text(table.name()),
        description: text(table.description()),
        inputs: inputs.iter().flatten().map(|t| tensor(&t)).collect(),
        outputs: outputs.iter().flatten().map(|t| tensor(&t)).collect(),
        files: files(table.associated_files()),
    }
}

fn tensor(table: &schema::TensorMetadata<'_>) -> TensorMetadata {
    let units = table.process_units();
    let mut found = TensorMetadata {
        name: text(table.name()),
        description: text(table.description()),
        dimension_names: table.dimension_names().iter().flatten().map(str::to_owned).collect(),
        content: table.content().map(|c| content(&c)).unwrap_or_default(),
        files: files(table.associated_files()),
        ..TensorMetadata::default()
    };
    for unit in units.iter().flatten() {
        if let Some(normalization) = unit.options_as_normalization_options() {
            found.mean = list(normalization.mean());
            found.std = list(normalization.std_());
        }
        if let Some(threshold) = unit.options_as_score_thresholding_options() {
            found.score_threshold = Some(threshold.global_score_threshold());
        }
    }
    if let Some(stats) = table.stats() {
        found.min = list(stats.min());
        found.max = list(stats.max());
    }
    found
}

fn content(table: &schema::Content<'_>) -> Content {
    if let Some(image) = table.content_properties_as_image_properties() {
        return Content::Image { grayscale: image.color_space() == schema::ColorSpaceType::GRAYSCALE };
    }
    if let Some(audio) = table.content_properties_as_audio_properties() {
        return Content::Audio { sample_rate: audio.sample_rate(), channels: audio.channels() };
    }
    match table.content_properties_type() {
        schema::ContentProperties::FeatureProperties => Content::Feature,
        schema::ContentProperties::BoundingBoxProperties => Content::BoundingBox,
        _ => Content::Unknown,
    }
}

fn files(tables: Tables<'_, schema::AssociatedFile<'_>>) -> Vec<FileMetadata> {
    let read = |file: schema::AssociatedFile<'_>| FileMetadata {
        name: text(file.name()),
        description: text(file.description()),
        kind: file_kind(file.type_()),
        locale: text(file.locale()),
    };
    tables.iter().flatten().map(read).collect()
}

fn file_kind(kind: schema::AssociatedFileType) -> FileKind {
    match kind {
        schema::AssociatedFileType::DESCRIPTIONS => FileKind::Description,
        schema::AssociatedFileType::TENSOR_AXIS_LABELS => FileKind::AxisLabels,
        schema::AssociatedFileType::TENSOR_VALUE_LABELS => FileKind::ValueLabels,
        schema::AssociatedFileType::TENSOR_AXIS_SCORE_CALIBRATION => FileKind::ScoreCalibration,
        schema::AssociatedFileType::VOCABULARY => FileKind::Vocabulary,
        schema::AssociatedFileType::SCANN_INDEX_FILE => FileKind::ScannIndex,
        _ => FileKind::Unknown,
    }
}
