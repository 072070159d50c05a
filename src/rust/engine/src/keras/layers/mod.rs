//! The table of layers: one line a class.

mod activation;
mod attention;
mod audio;
mod augment;
mod augment_parts;
mod augmentation;
mod categories;
mod clahe;
mod conv;
mod core;
mod custom;
mod dense;
mod embedding;
mod grouped_attention;
mod image;
mod keras1;
mod local;
mod lookup;
mod merging;
mod norm;
mod pooling;
mod preprocessing;
mod regularization;
mod reshaping;
mod rnn;
mod tensorflow;
#[cfg(test)]
mod tests;
mod wrappers;

use super::layer::{LayerDef, Support};

/// An entry: the class, and the path of its code, which begins with the concept.
macro_rules! layer {
    ($class:literal, $concept:ident $($path:tt)*) => {
        LayerDef {
            class: $class,
            concept: stringify!($concept),
            support: Support::Runs($concept $($path)*),
            note: "",
        }
    };
}

/// An entry of a class that the code of models reads.
const fn of_models(class: &'static str) -> LayerDef {
    LayerDef {
        class,
        concept: "core",
        support: Support::OfModels,
        note: "",
    }
}

/// An entry of a class that can't be run, and what there is to say.
const fn refused(class: &'static str, note: &'static str) -> LayerDef {
    LayerDef {
        class,
        concept: "refused",
        support: Support::Refused,
        note,
    }
}

const RANDOM: &str = "identity in predict(), random with training = TRUE";
const TRAINED: &str = "identity in predict(), acts with training = TRUE";
const TRAINING: &str = "identity in predict(); training = TRUE is not supported";
const FOREIGN: &str = "wraps code of another framework, which is not in the file";
const PYTHON: &str = "holds Python code, which is never run";

/// Every layer class there is, by concept (one block a file).
pub static LAYERS: &[LayerDef] = &[
    // activation
    layer!("Activation", activation::activation),
    layer!("ELU", activation::elu),
    layer!("LeakyReLU", activation::leaky_relu),
    layer!("PReLU", activation::prelu),
    layer!("ReLU", activation::relu),
    layer!("Softmax", activation::softmax),
    layer!("ThresholdedReLU", activation::thresholded_relu),
    // attention
    layer!("AdditiveAttention", attention::additive_attention),
    layer!("Attention", attention::attention),
    layer!("MultiHeadAttention", attention::multi_head_attention),
    // grouped_attention
    layer!(
        "GroupQueryAttention",
        grouped_attention::grouped_query_attention
    ),
    layer!(
        "GroupedQueryAttention",
        grouped_attention::grouped_query_attention
    ),
    // audio
    layer!("MelSpectrogram", audio::mel_spectrogram),
    layer!("STFTSpectrogram", audio::stft_spectrogram),
    // augmentation
    layer!("AugMix", augmentation::augmentation).note(RANDOM),
    layer!("CutMix", augmentation::augmentation).note(RANDOM),
    layer!("Equalization", augmentation::augmentation).note(TRAINED),
    layer!("MixUp", augmentation::augmentation).note(RANDOM),
    layer!("RandAugment", augmentation::augmentation).note(RANDOM),
    layer!("RandomBrightness", augmentation::augmentation).note(RANDOM),
    layer!("RandomColorDegeneration", augmentation::augmentation).note(RANDOM),
    layer!("RandomColorJitter", augmentation::augmentation).note(RANDOM),
    layer!("RandomContrast", augmentation::augmentation).note(RANDOM),
    layer!("RandomCrop", augmentation::augmentation).note(RANDOM),
    layer!("RandomElasticTransform", augmentation::augmentation).note(RANDOM),
    layer!("RandomErasing", augmentation::augmentation).note(RANDOM),
    layer!("RandomFlip", augmentation::augmentation).note(RANDOM),
    layer!("RandomGaussianBlur", augmentation::augmentation).note(RANDOM),
    layer!("RandomGrayscale", augmentation::augmentation).note(RANDOM),
    layer!("RandomHeight", augmentation::augmentation).note(TRAINING),
    layer!("RandomHue", augmentation::augmentation).note(RANDOM),
    layer!("RandomInvert", augmentation::augmentation).note(RANDOM),
    layer!("RandomPerspective", augmentation::augmentation).note(RANDOM),
    layer!("RandomPosterization", augmentation::augmentation).note(RANDOM),
    layer!("RandomRotation", augmentation::augmentation).note(RANDOM),
    layer!("RandomSaturation", augmentation::augmentation).note(RANDOM),
    layer!("RandomSharpness", augmentation::augmentation).note(RANDOM),
    layer!("RandomShear", augmentation::augmentation).note(RANDOM),
    layer!("RandomTranslation", augmentation::augmentation).note(RANDOM),
    layer!("RandomWidth", augmentation::augmentation).note(TRAINING),
    layer!("RandomZoom", augmentation::augmentation).note(RANDOM),
    layer!("Solarization", augmentation::augmentation).note(RANDOM),
    layer!("Pipeline", augmentation::pipeline),
    // categories
    layer!("CategoryEncoding", categories::category_encoding),
    layer!("Discretization", categories::discretization),
    layer!("HashedCrossing", categories::hashed_crossing),
    layer!("Hashing", categories::hashing),
    // conv
    layer!("Conv1D", conv::conv::<1>),
    layer!("Conv2D", conv::conv::<2>),
    layer!("Conv3D", conv::conv::<3>),
    layer!("Convolution1D", conv::conv::<1>),
    layer!("Convolution2D", conv::conv::<2>),
    layer!("Convolution3D", conv::conv::<3>),
    layer!("Conv1DTranspose", conv::conv_transpose::<1>),
    layer!("Conv2DTranspose", conv::conv_transpose::<2>),
    layer!("Conv3DTranspose", conv::conv_transpose::<3>),
    layer!("Convolution1DTranspose", conv::conv_transpose::<1>),
    layer!("Convolution2DTranspose", conv::conv_transpose::<2>),
    layer!("Convolution3DTranspose", conv::conv_transpose::<3>),
    layer!("DepthwiseConv1D", conv::depthwise_conv::<1>),
    layer!("DepthwiseConv2D", conv::depthwise_conv::<2>),
    layer!("SeparableConv1D", conv::separable_conv::<1>),
    layer!("SeparableConv2D", conv::separable_conv::<2>),
    layer!("SeparableConvolution1D", conv::separable_conv::<1>),
    layer!("SeparableConvolution2D", conv::separable_conv::<2>),
    // keras1
    layer!("Cosine", keras1::cosine),
    layer!("Highway", keras1::highway),
    layer!("MaxoutDense", keras1::maxout_dense),
    layer!("ParametricSoftplus", keras1::parametric_softplus),
    layer!("SReLU", keras1::s_relu),
    // local
    layer!("LocallyConnected1D", local::locally_connected::<1>),
    layer!("LocallyConnected2D", local::locally_connected::<2>),
    // core
    layer!("EinsumDense", core::einsum_dense),
    layer!("Masking", core::masking),
    // dense
    layer!("Dense", dense::dense),
    // image
    layer!("AutoContrast", image::auto_contrast),
    layer!("CenterCrop", image::center_crop),
    layer!("ContrastLimitedAdaptiveHistogramEqualization", image::clahe),
    layer!("MaxNumBoundingBoxes", image::max_num_bounding_boxes),
    layer!("Resizing", image::resizing),
    // embedding
    layer!("Embedding", embedding::embedding),
    layer!("ReversibleEmbedding", embedding::reversible_embedding),
    // lookup
    layer!("IntegerLookup", lookup::integer_lookup),
    layer!("StringLookup", lookup::string_lookup),
    layer!("TextVectorization", lookup::text_vectorization),
    // merging
    layer!("Add", merging::add),
    layer!("Average", merging::average),
    layer!("Concatenate", merging::concatenate),
    layer!("Dot", merging::dot),
    layer!("Maximum", merging::maximum),
    layer!("Minimum", merging::minimum),
    layer!("Multiply", merging::multiply),
    layer!("Subtract", merging::subtract),
    // What a FeatureSpace joins its features with.
    layer!("TFDConcat", merging::concatenate),
    // norm
    layer!("BatchNormalization", norm::batch_normalization),
    layer!("GroupNormalization", norm::group_normalization),
    layer!("LayerNormalization", norm::layer_normalization),
    layer!("LayerScale", norm::layer_scale),
    layer!("CustomScaleLayer", merging::custom_scale),
    layer!("RMSNormalization", norm::rms_normalization),
    layer!("UnitNormalization", norm::unit_normalization),
    // pooling
    layer!("AdaptiveAveragePooling1D", pooling::adaptive_average::<1>),
    layer!("AdaptiveAveragePooling2D", pooling::adaptive_average::<2>),
    layer!("AdaptiveAveragePooling3D", pooling::adaptive_average::<3>),
    layer!("AdaptiveMaxPooling1D", pooling::adaptive_max::<1>),
    layer!("AdaptiveMaxPooling2D", pooling::adaptive_max::<2>),
    layer!("AdaptiveMaxPooling3D", pooling::adaptive_max::<3>),
    layer!("AveragePooling1D", pooling::average_pooling::<1>),
    layer!("AveragePooling2D", pooling::average_pooling::<2>),
    layer!("AveragePooling3D", pooling::average_pooling::<3>),
    layer!("AvgPool1D", pooling::average_pooling::<1>),
    layer!("AvgPool2D", pooling::average_pooling::<2>),
    layer!("AvgPool3D", pooling::average_pooling::<3>),
    layer!("GlobalAveragePooling1D", pooling::global_average::<1>),
    layer!("GlobalAveragePooling2D", pooling::global_average::<2>),
    layer!("GlobalAveragePooling3D", pooling::global_average::<3>),
    layer!("GlobalAvgPool1D", pooling::global_average::<1>),
    layer!("GlobalAvgPool2D", pooling::global_average::<2>),
    layer!("GlobalAvgPool3D", pooling::global_average::<3>),
    layer!("GlobalMaxPool1D", pooling::global_max::<1>),
    layer!("GlobalMaxPool2D", pooling::global_max::<2>),
    layer!("GlobalMaxPool3D", pooling::global_max::<3>),
    layer!("GlobalMaxPooling1D", pooling::global_max::<1>),
    layer!("GlobalMaxPooling2D", pooling::global_max::<2>),
    layer!("GlobalMaxPooling3D", pooling::global_max::<3>),
    layer!("MaxPool1D", pooling::max_pooling::<1>),
    layer!("MaxPool2D", pooling::max_pooling::<2>),
    layer!("MaxPool3D", pooling::max_pooling::<3>),
    layer!("MaxPooling1D", pooling::max_pooling::<1>),
    layer!("MaxPooling2D", pooling::max_pooling::<2>),
    layer!("MaxPooling3D", pooling::max_pooling::<3>),
    // preprocessing
    layer!("Normalization", preprocessing::normalization),
    layer!("Rescaling", preprocessing::rescaling),
    // regularization
    layer!(
        "ActivityRegularization",
        regularization::activity_regularization
    )
    .note("identity"),
    layer!("AlphaDropout", regularization::alpha).note(RANDOM),
    layer!("Dropout", regularization::dropout).note(RANDOM),
    layer!("GaussianDropout", regularization::gaussian_dropout).note(RANDOM),
    layer!("GaussianNoise", regularization::gaussian_noise).note(RANDOM),
    layer!("Identity", regularization::identity),
    // What a FeatureSpace takes plain features by.
    layer!("TFDIdentity", regularization::identity),
    layer!("StochasticDepth", regularization::stochastic_depth).note(RANDOM),
    layer!("SpatialDropout1D", regularization::spatial_dropout::<1>).note(RANDOM),
    layer!("SpatialDropout2D", regularization::spatial_dropout::<2>).note(RANDOM),
    layer!("SpatialDropout3D", regularization::spatial_dropout::<3>).note(RANDOM),
    // reshaping
    layer!("Cropping1D", reshaping::cropping::<1>),
    layer!("Cropping2D", reshaping::cropping::<2>),
    layer!("Cropping3D", reshaping::cropping::<3>),
    layer!("Flatten", reshaping::flatten),
    layer!("Permute", reshaping::permute),
    layer!("RepeatVector", reshaping::repeat_vector),
    layer!("Reshape", reshaping::reshape),
    layer!("UpSampling1D", reshaping::up_sampling::<1>),
    layer!("UpSampling2D", reshaping::up_sampling::<2>),
    layer!("UpSampling3D", reshaping::up_sampling::<3>),
    layer!("ZeroPadding1D", reshaping::zero_padding::<1>),
    layer!("ZeroPadding2D", reshaping::zero_padding::<2>),
    layer!("ZeroPadding3D", reshaping::zero_padding::<3>),
    // rnn
    layer!("ConvLSTM1D", rnn::conv_lstm::<1>),
    layer!("ConvLSTM2D", rnn::conv_lstm::<2>),
    layer!("ConvLSTM3D", rnn::conv_lstm::<3>),
    layer!("GRU", rnn::gru),
    layer!("GRUCell", rnn::gru_cell),
    layer!("LSTM", rnn::lstm),
    layer!("LSTMCell", rnn::lstm_cell),
    layer!("RNN", rnn::rnn),
    layer!("SimpleRNN", rnn::simple_rnn),
    layer!("SimpleRNNCell", rnn::simple_cell),
    layer!("StackedRNNCells", rnn::stacked),
    // tensorflow
    layer!("SlicingOpLambda", tensorflow::function)
        .note("functions of TensorFlow in models of Keras 2"),
    layer!("TFOpLambda", tensorflow::function).note("functions of TensorFlow in models of Keras 2"),
    // wrappers
    layer!("Bidirectional", wrappers::bidirectional),
    layer!("SpectralNormalization", wrappers::spectral_normalization)
        .note("the stored kernel, as Keras in predict()"),
    layer!("TimeDistributed", wrappers::time_distributed),
    // read by the code of models
    of_models("FeatureSpace"),
    of_models("InputLayer"),
    of_models("Functional"),
    of_models("Model"),
    of_models("Sequential"),
    // refused
    refused("FlaxLayer", FOREIGN),
    refused("JaxLayer", FOREIGN),
    refused("Lambda", PYTHON),
    refused("TFSMLayer", FOREIGN),
    refused("TorchModuleWrapper", FOREIGN),
];

pub use activation::lambda;
pub use attention::{dot_product_attention, MASKS_STAY, MASKS_UNSEEN};
pub use augmentation::RESIZES;
pub use categories::{ENCODES_BY_DTYPE, KEEPS_LAST_AXIS};
pub use conv::{same_pads, ConvTranspose, Window, BIAS_ON_CHANNELS};
pub use custom::{custom, custom_activation};
pub use image::{batched, no_image};
pub use lookup::COUNTS_IN_FLOATS;
pub use pooling::{AdaptivePooling, Pooling};
pub use reshaping::{to_channels_first, to_channels_last, PIXELS_BY_CORNERS};
pub use rnn::REVERSED_STATES;
pub(crate) use tensorflow::runs as runs_function;

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static LayerDef> {
    LAYERS.iter().find(|d| d.class == class)
}
