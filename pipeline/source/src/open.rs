use centinel_catalog::Catalog;
use centinel_model::Positions;

use crate::{
    BinlogInput, BinlogOptions, Input, InputError, InputFile, KafkaInput, KafkaOptions, LogFile,
    Until,
};

/// Where changes and events come from.
#[derive(Clone, Debug)]
pub enum InputOptions {
    /// A file of lines in the project's own form.
    File(InputFile),
    /// Topics of a Kafka cluster.
    Kafka(KafkaOptions),
    /// The binary log of a database.
    Binlog(BinlogOptions),
}

impl From<InputFile> for InputOptions {
    fn from(file: InputFile) -> InputOptions {
        InputOptions::File(file)
    }
}

impl InputOptions {
    /// Opens the input where it was left.
    ///
    /// # Errors
    /// When it cannot be read and waiting would not mend that.
    pub fn open(
        &self,
        catalog: &Catalog,
        positions: &Positions,
        until: Until,
    ) -> Result<Box<dyn Input>, InputError> {
        Ok(match self {
            InputOptions::File(file) => {
                let resume = positions.0.get(&file.name);
                Box::new(LogFile::open(catalog, file, resume, until)?)
            }
            InputOptions::Kafka(options) => Box::new(KafkaInput::open(
                catalog,
                options.clone(),
                positions,
                until,
            )?),
            InputOptions::Binlog(options) => Box::new(BinlogInput::open(
                catalog,
                options.clone(),
                positions,
                until,
            )?),
        })
    }
}
