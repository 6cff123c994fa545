"""What the two jobs of TensorFlow share: shards of TFRecords, and the comparison of two pipelines that read them."""
import tensorflow as tf

from checks import check, equal, sample

# Shards of more than 8 MiB, so that clients read them in several ranges.
SHARDS, RECORDS, KINDS, SIDE = 3, 200, 4, 128
BATCH = 20


def write_shards(folder):
    """Writes `folder/00000.tfrecord` and so on; a folder may be anything that TensorFlow can write to."""
    files = [f'{folder}/{shard:05}.tfrecord' for shard in range(SHARDS)]
    for shard, file in enumerate(files):
        with tf.io.TFRecordWriter(file) as writer:
            for number in range(RECORDS):
                writer.write(make_record(shard, number))
    return files


def make_record(shard, number):
    features = {
        'image': tf.train.BytesList(value=[sample(f'{shard}/{number}', 3 * SIDE * SIDE)]),
        # Records differ in size.
        'note': tf.train.BytesList(value=[sample('note', number)]),
    }
    features = {name: tf.train.Feature(bytes_list=value) for name, value in features.items()}
    features['kind'] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number % KINDS]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def compare_pipelines(records, wanted, name):
    """Two pipelines must give the same records in the same order, and the same model when it learns from them."""
    actual_records, wanted_records = list(records.as_numpy_iterator()), list(wanted.as_numpy_iterator())
    equal(len(actual_records), SHARDS * RECORDS, f'{name}: all records')
    size = sum(len(record) for record in wanted_records)
    check(actual_records == wanted_records, f'{name}: the same {size} bytes in the same order')
    actual_losses, actual_weights = train(records)
    wanted_losses, wanted_weights = train(wanted)
    equal(actual_losses, wanted_losses, f'{name}: the losses of local files')
    same = all((one == other).all() for one, other in zip(actual_weights, wanted_weights))
    check(same, f'{name}: the weights of local files')


def train(records):
    tf.keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(KINDS)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=tf.keras.optimizers.SGD(0.001), loss=loss)
    samples = records.map(decode, num_parallel_calls=2).shuffle(100, seed=1).batch(BATCH).prefetch(2)
    history = model.fit(samples, epochs=2, verbose=0)
    return history.history['loss'], model.get_weights()


def decode(record):
    """A record as the image and its kind."""
    features = {'image': tf.io.FixedLenFeature([], tf.string), 'kind': tf.io.FixedLenFeature([], tf.int64)}
    example = tf.io.parse_single_example(record, features)
    image = tf.io.decode_raw(example['image'], tf.uint8, fixed_length=3 * SIDE * SIDE)
    return tf.cast(tf.reshape(image, [SIDE, SIDE, 3]), tf.float32) / 255, example['kind']
