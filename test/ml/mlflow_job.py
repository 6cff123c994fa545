"""A run, its artifacts and a model in an MLflow server that keeps them here: `mlflow_job.py direct|proxied FOLDER`."""
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import boto3
import mlflow
import mlflow.sklearn
from mlflow.artifacts import download_artifacts, list_artifacts
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from checks import MIB, check, equal, files_of, objects_of, run_steps, same_bytes, write_samples

MODE, FOLDER = sys.argv[1], Path(sys.argv[2])
BUCKET = f'mlflow-{MODE}'
DATABASE = 'sqlite:///mlflow.db'
SIZES = {'empty': 0, 'notes.txt': 100, 'plots/loss +1 é.png': 70_000, 'plots/deep/er/x.json': 5, 'weights.bin': 17 * MIB + 5}
ARTIFACTS = {
    'direct': ['--no-serve-artifacts', '--default-artifact-root', f's3://{BUCKET}'],
    'proxied': ['--serve-artifacts', '--artifacts-destination', f's3://{BUCKET}'],
}
# Files of this size and more go through presigned URLs, in parts. 5 MiB is the smallest part that S3 allows.
PRESIGNED = {
    'MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE': str(10 * MIB),
    'MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE': str(5 * MIB),
    'MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE': str(5 * MIB),
}
THROUGH = {'MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD': 'false', 'MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD': 'false'}
START_SECONDS = 240

s3 = boto3.client('s3')


def main():
    os.chdir(FOLDER)
    # MLflow has a variable of its own for the endpoint.
    os.environ['MLFLOW_S3_ENDPOINT_URL'] = os.environ.pop('AWS_ENDPOINT_URL')
    write_samples('files', SIZES)
    s3.create_bucket(Bucket=BUCKET)
    job = start_server()
    try:
        run_steps([connect, log_files, list_files, download_files, log_model, load_model, save_model, delete], job)
    finally:
        os.killpg(job.server.pid, signal.SIGKILL)
        job.server.wait()


def start_server():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    command = ['mlflow', 'server', '--backend-store-uri', DATABASE, *ARTIFACTS[MODE], '--port', str(port), '--workers', '1']
    with open('server.log', 'w') as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    return SimpleNamespace(url=f'http://127.0.0.1:{port}', server=server)


def connect(job):
    wait_until_healthy(job)
    mlflow.set_tracking_uri(job.url)
    mlflow.set_experiment('flowers')
    if MODE == 'proxied':
        os.environ.update(PRESIGNED)
        forget_keys()


def wait_until_healthy(job):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and job.server.poll() is None:
        try:
            with urllib.request.urlopen(f'{job.url}/health') as answer:
                return check(answer.status == 200, 'the server is healthy')
        except urllib.error.URLError:
            time.sleep(0.5)
    raise RuntimeError('the server did not start:\n' + Path('server.log').read_text()[-5000:])


def forget_keys():
    """Clients of a proxying server have no keys of the store; only the connection of the checks remembers them."""
    for name in list(os.environ):
        if name.startswith('AWS_'):
            del os.environ[name]


def log_files(job):
    with mlflow.start_run() as run:
        mlflow.log_params({'regularisation': 0.5, 'solver': 'lbfgs'})
        mlflow.log_metric('loss', 0.25)
        mlflow.log_artifacts('files', 'files')
        mlflow.log_artifact('files/notes.txt')
        mlflow.log_text('a few words', 'words.txt')
    job.run_id = run.info.run_id
    # Where the artifacts of the run begin, in the bucket.
    job.prefix = key_of(run.info.artifact_uri) + '/'
    data = mlflow.get_run(job.run_id).data
    equal(data.params, {'regularisation': '0.5', 'solver': 'lbfgs'}, 'parameters')
    equal(data.metrics, {'loss': 0.25}, 'metrics')
    same_bytes(objects_of(s3, BUCKET, f'{job.prefix}files/'), files_of('files'), 'in the store')
    etag = s3.head_object(Bucket=BUCKET, Key=f'{job.prefix}files/weights.bin')['ETag']
    equal(etag.strip('"').split('-')[1], {'direct': '3', 'proxied': '4'}[MODE], 'the large file came in parts of 8 or 5 MiB')


def key_of(uri):
    """`s3://bucket/1/2` and `mlflow-artifacts:/1/2` → `1/2`."""
    return uri.removeprefix(f's3://{BUCKET}/').removeprefix('mlflow-artifacts:/')


def list_files(job):
    def listed(path):
        return {info.path: info.file_size for info in list_artifacts(run_id=job.run_id, artifact_path=path)}

    equal(listed(None), {'files': None, 'notes.txt': 100, 'words.txt': 11}, 'the root')
    # The REST API of MLflow leaves out zeros.
    empty = {'direct': 0, 'proxied': None}[MODE]
    equal(listed('files'), {'files/empty': empty, 'files/notes.txt': 100, 'files/plots': None, 'files/weights.bin': 17 * MIB + 5}, 'a folder')
    equal(listed('files/plots/deep'), {'files/plots/deep/er': None}, 'a folder of folders')
    equal(listed('files/notes.txt'), {}, 'a file is no folder')
    equal(listed('nothing'), {}, 'what is not there')


def download_files(job):
    same_download(job, 'files', 'files', 'downloaded')
    equal(mlflow.artifacts.load_text(f'runs:/{job.run_id}/words.txt'), 'a few words', 'a text')
    if MODE == 'proxied':
        through_the_server(job)


def same_download(job, path, folder, name):
    local = download_artifacts(run_id=job.run_id, artifact_path=path, dst_path='downloaded')
    same_bytes(files_of(local), files_of(folder), name)


def through_the_server(job):
    """The same without presigned URLs: all bytes pass through the MLflow server."""
    os.environ.update(THROUGH)
    with mlflow.start_run(run_id=job.run_id):
        mlflow.log_artifacts('files', 'through')
    same_bytes(objects_of(s3, BUCKET, f'{job.prefix}through/'), files_of('files'), 'in the store, through the server')
    same_download(job, 'through', 'files', 'downloaded through the server')
    for name in THROUGH:
        del os.environ[name]


def log_model(job):
    job.inputs, kinds = load_iris(return_X_y=True)
    job.model = LogisticRegression(max_iter=500).fit(job.inputs, kinds)
    with mlflow.start_run(run_id=job.run_id):
        job.logged = mlflow.sklearn.log_model(job.model, name='model', registered_model_name='flowers', pip_requirements=['scikit-learn'])
    local = download_artifacts(job.logged.model_uri, dst_path='logged-model')
    # MLflow adds this file to what it downloads.
    Path(local, 'registered_model_meta').unlink()
    stored = objects_of(s3, BUCKET, key_of(mlflow.get_logged_model(job.logged.model_id).artifact_location) + '/')
    same_bytes(files_of(local), stored, 'the logged model')


def load_model(job):
    wanted = job.model.predict(job.inputs).tolist()
    for uri in [job.logged.model_uri, f'runs:/{job.run_id}/model', 'models:/flowers/1']:
        loaded = mlflow.pyfunc.load_model(uri)
        equal(loaded.predict(job.inputs).tolist(), wanted, f'predictions of {re.sub("[0-9a-f]{32}", "…", uri)}')


def save_model(job):
    """A logged model has an id of its own in its files; one saved here can be compared with what comes back."""
    mlflow.sklearn.save_model(job.model, 'saved-model', pip_requirements=['scikit-learn'])
    with mlflow.start_run(run_id=job.run_id):
        mlflow.log_artifacts('saved-model', 'saved')
    same_download(job, 'saved', 'saved-model', 'a model saved here')


def delete(job):
    client = mlflow.MlflowClient()
    client.delete_logged_model(job.logged.model_id)
    client.delete_run(job.run_id)
    command = ['mlflow', 'gc', '--backend-store-uri', DATABASE, '--tracking-uri', job.url]
    done = subprocess.run(command, capture_output=True, text=True)
    if not check(done.returncode == 0, 'mlflow gc'):
        print(done.stderr)
    equal(list(objects_of(s3, BUCKET)), [], 'nothing is left in the store')


main()
